//! How connections to RabbitMQ are encrypted, checked.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use telegram_webhook_sidecar_config::{self as raw, ClientCertificate, Secret};

use super::Mistakes;

/// How connections are encrypted.
#[derive(Clone)]
pub struct RabbitMqTls {
    pub config: Arc<ClientConfig>,
    /// The name that certificates must be for, where that isn't the host's.
    pub server_name: Option<String>,
}

// === impl RabbitMqTls ===

impl RabbitMqTls {
    pub(super) fn parse(tls: &raw::RabbitMqTls, mistakes: &mut Mistakes) -> Option<Self> {
        let raw::RabbitMqTls { ca, server_name, client_certificate } = tls;
        let roots = roots(ca.as_deref(), mistakes);
        let is_name = server_name.as_ref().is_none_or(|name| ServerName::try_from(name.as_str()).is_ok());
        if !is_name {
            mistakes.add("tls.serverName", "must be a DNS name or an IP address");
        }
        let client = client_certificate.as_ref().map(|client| self::client(client, mistakes));
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
                config.map_err(|_| mistakes.add("tls.clientCertificate.key", reason)).ok()?
            }
        };
        is_name.then(|| Self { config: Arc::new(config), server_name: server_name.clone() })
    }
}

fn roots(ca: Option<&str>, mistakes: &mut Mistakes) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = ca else {
        // the system's own are many, and some of them are of no use
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            mistakes.add("tls.ca", "must be given: this system trusts no authority by itself");
        }
        return (!roots.is_empty()).then_some(roots);
    };
    let all_usable = certificates(pem).is_some_and(|certificates| {
        certificates.into_iter().all(|certificate| roots.add(certificate).is_ok())
    });
    if !all_usable {
        mistakes.add("tls.ca", "must be certificates of authorities in PEM");
    }
    all_usable.then_some(roots)
}

/// At least one.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|certificates| !certificates.is_empty())
}

fn client(
    client: &ClientCertificate,
    mistakes: &mut Mistakes,
) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let ClientCertificate { chain, key: Secret(key) } = client;
    let chain = certificates(chain);
    if chain.is_none() {
        mistakes.add("tls.clientCertificate.chain", "must be certificates in PEM, the sidecar's first");
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok();
    if key.is_none() {
        mistakes.add("tls.clientCertificate.key", "must be a private key in PEM, not encrypted");
    }
    Some((chain?, key?))
}

impl fmt::Debug for RabbitMqTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
