//! The TLS policy: versions 1.2 and 1.3, rustls' own suites (key exchange with forward secrecy, authenticated encryption), no
//! tickets and no sessions (Telegram resumes none), the certificate of the webhook whose host the client names.

use std::{fmt, sync::Arc};

use rustls::{
    ServerConfig,
    client::verify_server_name,
    crypto::aws_lc_rs,
    pki_types::ServerName,
    server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use crate::config::{CurrentPolicy, Policy, Webhook};

/// Looks the certificate up in the policy of the moment: a new one is served from the next handshake on, and connections that
/// are open stay as they are.
struct PolicyCertificates(CurrentPolicy);

/// Builds the one configuration that is used as long as the process lives.
pub fn server_config(policy: CurrentPolicy) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(PolicyCertificates(policy)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // all suites are strong, so that the order hardly matters; scanners want it to be the server's
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// The certificate for a host: that of the webhook whose host it is, else one that is valid for it, because a bot whose host has
/// just changed in the configuration is still called by its former one. Where neither is, or for a client that names no host,
/// the only certificate there is.
fn certificate(policy: &Policy, server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
    let named = server_name.and_then(|name| {
        let of_host = policy.freshest(|webhook| webhook.host.as_ref().eq_ignore_ascii_case(name));
        of_host.or_else(|| {
            let name = ServerName::try_from(name).ok()?;
            policy.freshest(|webhook| covers(&webhook.certificate, &name))
        })
    });
    named.or_else(|| only(policy)).map(|webhook| Arc::clone(&webhook.certificate))
}

/// Whether a client that connects to this name takes the certificate for it.
fn covers(certificate: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = certificate.end_entity_cert().and_then(ParsedCertificate::try_from);
    leaf.is_ok_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

/// A webhook whose certificate is as good as any other's.
fn only(policy: &Policy) -> Option<&Arc<Webhook>> {
    let first = policy.webhooks().first()?;
    let same = |webhook: &Arc<Webhook>| {
        webhook.host == first.host || webhook.certificate_digest == first.certificate_digest
    };
    policy.webhooks().iter().all(same).then(|| policy.freshest(|_| true)).flatten()
}

// === impl PolicyCertificates ===

impl ResolvesServerCert for PolicyCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        certificate(&self.0.load(), hello.server_name())
    }
}

impl fmt::Debug for PolicyCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PolicyCertificates")
    }
}

#[cfg(test)]
mod tests;
