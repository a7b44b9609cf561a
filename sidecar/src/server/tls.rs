//! The TLS policy: versions 1.2 and 1.3, rustls' own suites (key exchange with forward secrecy, authenticated encryption), no
//! tickets and no sessions (Telegram resumes none), the certificate of the webhook whose host the client names.

use std::{fmt, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use crate::config::{CurrentPolicy, Policy};

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
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// The certificate for a host. For one that no webhook has, or for a client that names none, the only certificate there is: a
/// bot whose host has just changed in the configuration is still called by its former one, for which the certificate may be valid.
fn certificate(policy: &Policy, server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
    let webhooks = policy.webhooks();
    let first = webhooks.first()?;
    let named = server_name
        .and_then(|name| policy.freshest(|webhook| webhook.host.as_ref().eq_ignore_ascii_case(name)));
    let only = webhooks
        .iter()
        .all(|webhook| webhook.host == first.host || webhook.certificate_digest == first.certificate_digest)
        .then(|| policy.freshest(|_| true))
        .flatten();
    named.or(only).map(|webhook| Arc::clone(&webhook.certificate))
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
