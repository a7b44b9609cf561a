//! The certificate that a webhook shows, and its key. Whether the certificate is for the right name and still valid is said and no
//! more: refusing it here would take a working bot down.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls::{
    CertificateError, RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
    sign::CertifiedKey,
};

use telegram_webhook_sidecar_config::digest;

use super::{
    Problem, Webhook,
    place::CertificatePart::{Chain, Key},
    problem::Findings,
    snapshot::CertificateFiles,
};

/// What an encrypted key begins with in either format.
const ENCRYPTED: &[u8] = b"ENCRYPTED";

/// The chain and its key, if the key belongs to the first certificate, and the digest that names the chain.
pub(super) fn parse(
    files: CertificateFiles,
    findings: &mut Findings<'_>,
) -> Option<(Arc<CertifiedKey>, String)> {
    let CertificateFiles { chain, key } = files;
    let file = chain.map_err(|problem| findings.problem(problem)).ok();
    let key = key.map_err(|problem| findings.problem(problem)).ok();
    let chain = file.as_deref().and_then(|pem| self::chain(pem, findings));
    let key = key.and_then(|pem| self::key(&pem, findings));
    match CertifiedKey::from_der(chain?, key?, &aws_lc_rs::default_provider()) {
        Ok(certified) => Some((Arc::new(certified), digest(&file?))),
        Err(rustls::Error::InconsistentKeys(_)) => {
            findings.certificate(Key, "does not belong to the certificate");
            None
        }
        Err(rustls::Error::InvalidCertificate(_)) => {
            findings.certificate(Chain, "its first certificate can't be used");
            None
        }
        Err(_) => {
            findings.certificate(Key, "is of a kind that can't be used");
            None
        }
    }
}

fn chain(pem: &[u8], findings: &mut Findings<'_>) -> Option<Vec<CertificateDer<'static>>> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            findings.certificate(Chain, "holds no certificate in PEM");
            None
        }
        Err(_) => {
            findings.certificate(Chain, "is not PEM");
            None
        }
    }
}

fn key(pem: &[u8], findings: &mut Findings<'_>) -> Option<PrivateKeyDer<'static>> {
    let key = PrivateKeyDer::from_pem_slice(pem).ok();
    if key.is_none() {
        // such as openssl writes unless told otherwise
        let encrypted = pem.windows(ENCRYPTED.len()).any(|window| window == ENCRYPTED);
        let reason = "is encrypted: nobody is there to enter the password, so store it without";
        findings.certificate(Key, if encrypted { reason } else { "holds no private key in PEM" });
    }
    key
}

/// Why Telegram will refuse the certificate, for all we know.
pub(super) fn doubts(webhook: &Webhook, now: UnixTime) -> Vec<Problem> {
    let Webhook { place, host, certificate, .. } = webhook;
    let mut doubts = Findings::new(place);
    let leaf = certificate.end_entity_cert().and_then(ParsedCertificate::try_from);
    let name = ServerName::DnsName(host.clone());
    if leaf.is_ok_and(|leaf| verify_server_name(&leaf, &name).is_err()) {
        doubts.certificate(Chain, format!("is not for the host {}: Telegram will refuse it", host.as_ref()));
    }
    for (index, certificate) in certificate.cert.iter().enumerate() {
        let which = if index == 0 { "" } else { "holds an intermediate certificate that " };
        match validity(certificate, now) {
            Some(CertificateError::ExpiredContext { not_after, .. }) => {
                let since = wall_clock(not_after);
                doubts.certificate(Chain, format!("{which}expired at {since}: renew it"));
            }
            Some(CertificateError::NotValidYetContext { not_before, .. }) => {
                let from = wall_clock(not_before);
                doubts
                    .certificate(Chain, format!("{which}is valid from {from} on only: is the clock right?"));
            }
            _ => {}
        }
    }
    doubts.into_problems()
}

/// What is wrong with a certificate that nobody vouches for: its time is looked at first.
fn validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<CertificateError> {
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    let certificate = ParsedCertificate::try_from(certificate).ok()?;
    let nobody = RootCertStore::empty();
    match verify_server_cert_signed_by_trust_anchor(&certificate, &nobody, &[], now, algorithms) {
        Err(rustls::Error::InvalidCertificate(error)) => Some(error),
        _ => None,
    }
}

fn wall_clock(time: UnixTime) -> Timestamp {
    let since_epoch = Duration::from_secs(time.as_secs());
    Timestamp::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
