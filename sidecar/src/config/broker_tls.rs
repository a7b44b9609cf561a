//! How connections to a broker are encrypted, checked.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use telegram_webhook_sidecar_config::{self as raw, ClientCertificate, Secret};

/// Is told the field and what is wrong with it.
type Tell<'a> = &'a mut dyn FnMut(&str, &str);

/// How connections are encrypted.
#[derive(Clone)]
pub struct BrokerTls {
    pub config: Arc<ClientConfig>,
    /// The name that certificates must be for, where that isn't the host's.
    pub server_name: Option<ServerName<'static>>,
    /// What it was made of, for the client of a Redis Cluster, which takes nothing else.
    pub pem: raw::BrokerTls,
}

// === impl BrokerTls ===

impl BrokerTls {
    /// None only after something was told.
    pub(super) fn parse(tls: &raw::BrokerTls, tell: Tell<'_>) -> Option<Self> {
        let raw::BrokerTls { ca, server_name, client_certificate } = tls;
        let roots = roots(ca.as_deref(), tell);
        let server_name = server_name.as_deref().map(|name| self::server_name(name, tell));
        let client = client_certificate.as_ref().map(|client| self::client(client, tell));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
        let builder = builder.with_root_certificates(roots?);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let (chain, key) = client?;
                let config = builder.with_client_auth_cert(chain, key);
                let reason = "does not belong to the chain, or is of a kind that can't be used";
                config.map_err(|_| tell("tls.clientCertificate.key", reason)).ok()?
            }
        };
        let server_name = match server_name {
            None => None,
            Some(name) => Some(name?),
        };
        Some(Self { config: Arc::new(config), server_name, pem: tls.clone() })
    }
}

fn roots(ca: Option<&str>, tell: Tell<'_>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = ca else {
        // the system's own are many, and some of them are of no use
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            tell("tls.ca", "must be given: this system trusts no authority by itself");
        }
        return (!roots.is_empty()).then_some(roots);
    };
    let certificates = certificates(pem);
    let all_usable = certificates.is_some_and(|certificates| {
        certificates.into_iter().all(|certificate| roots.add(certificate).is_ok())
    });
    if !all_usable {
        tell("tls.ca", "must be certificates of authorities in PEM");
    }
    all_usable.then_some(roots)
}

/// At least one.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|certificates| !certificates.is_empty())
}

fn server_name(name: &str, tell: Tell<'_>) -> Option<ServerName<'static>> {
    let parsed = ServerName::try_from(name.to_owned()).ok();
    if parsed.is_none() {
        tell("tls.serverName", "must be a DNS name or an IP address");
    }
    parsed
}

fn client(
    client: &ClientCertificate,
    tell: Tell<'_>,
) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let ClientCertificate { chain, key: Secret(key) } = client;
    let chain = certificates(chain);
    if chain.is_none() {
        tell("tls.clientCertificate.chain", "must be certificates in PEM, the sidecar's first");
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok();
    if key.is_none() {
        let reason = "must be a private key in PEM, not encrypted";
        tell("tls.clientCertificate.key", reason);
    }
    Some((chain?, key?))
}

impl fmt::Debug for BrokerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
