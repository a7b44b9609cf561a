//! Checks the certificate that the sidecar will serve, as Telegram's own client will: readable, in time, for the host, and
//! with its own key. Whether Telegram trusts its issuer can't be known here.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use rustls::{
    client::verify_server_name,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::ParsedCertificate,
    sign::CertifiedKey,
};
use telegram_webhook_sidecar_config::{TLS_CERT_FILE, TLS_KEY_FILE, digest};
use x509_parser::parse_x509_certificate;

use super::Mistake;
use crate::reconcile::status::Reason;

const FIELD: &str = "spec.endpoint.tls.secretRef";

/// Checks the Secret called `name`, and gives the digest by which the sidecars name its chain.
pub fn check(name: &str, secret: Option<&Secret>, host: &str, now: Timestamp) -> Result<String, Mistake> {
    let secret = secret.ok_or_else(|| {
        Mistake::passing(
            Reason::TlsSecretNotFound,
            format!("{FIELD}.name: there is no Secret {name} in this namespace; create it with {TLS_CERT_FILE} and {TLS_KEY_FILE}"),
        )
    })?;
    let file = value(name, secret, TLS_CERT_FILE)?;
    let chain = chain(name, file)?;
    let key = PrivateKeyDer::from_pem_slice(value(name, secret, TLS_KEY_FILE)?)
        .map_err(|_| unreadable(name, TLS_KEY_FILE, "is not a private key in PEM"))?;
    let leaf = chain.first().ok_or_else(|| unreadable(name, TLS_CERT_FILE, "holds no certificate in PEM"))?;
    in_time(name, &chain, now)?;
    for_host(name, leaf, host)?;
    with_key(name, chain.clone(), key)?;
    Ok(digest(file))
}

fn value<'a>(name: &str, secret: &'a Secret, key: &str) -> Result<&'a [u8], Mistake> {
    secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .map(|value| value.0.as_slice())
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            Mistake::passing(
                Reason::TlsSecretIncomplete,
                format!("{FIELD}.name: Secret {name} has no {key}; it must be of type kubernetes.io/tls"),
            )
        })
}

fn chain(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unreadable(name, TLS_CERT_FILE, "is not a certificate chain in PEM"))
}

fn in_time(name: &str, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), Mistake> {
    for (index, der) in chain.iter().enumerate() {
        let which = if index == 0 { "the certificate" } else { "an intermediate certificate" };
        let (_, certificate) = parse_x509_certificate(der).map_err(|_| {
            unreadable(name, TLS_CERT_FILE, "holds something that is not an X.509 certificate")
        })?;
        let validity = certificate.validity();
        if now.as_second() < validity.not_before.timestamp() {
            return Err(Mistake::passing(
                Reason::CertificateNotYetValid,
                format!(
                    "{FIELD}: {which} in Secret {name} is valid only from {} on; renew it, or check the clocks",
                    validity.not_before
                ),
            ));
        }
        if now.as_second() > validity.not_after.timestamp() {
            return Err(Mistake::lasting(
                Reason::CertificateExpired,
                format!("{FIELD}: {which} in Secret {name} expired at {}; renew it", validity.not_after),
            ));
        }
    }
    Ok(())
}

fn for_host(name: &str, leaf: &CertificateDer<'_>, host: &str) -> Result<(), Mistake> {
    let mismatch = || {
        Mistake::lasting(
            Reason::CertificateNameMismatch,
            format!(
                "{FIELD}: the certificate in Secret {name} is not for {host} (spec.endpoint.host); issue one with this name among its DNS names"
            ),
        )
    };
    let certificate = ParsedCertificate::try_from(leaf)
        .map_err(|_| unreadable(name, TLS_CERT_FILE, "holds a certificate that TLS libraries refuse"))?;
    let server_name = ServerName::try_from(host).map_err(|_| mismatch())?;
    verify_server_name(&certificate, &server_name).map_err(|_| mismatch())
}

fn with_key(
    name: &str,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<(), Mistake> {
    match CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(Mistake::lasting(
            Reason::CertificateKeyMismatch,
            format!(
                "{FIELD}: {TLS_KEY_FILE} in Secret {name} is not the key of the certificate in {TLS_CERT_FILE}; store the pair that belongs together"
            ),
        )),
        Err(_) => {
            Err(unreadable(name, TLS_KEY_FILE, "is a kind of key that is not supported; use RSA or ECDSA"))
        }
    }
}

fn unreadable(name: &str, key: &str, problem: &str) -> Mistake {
    Mistake::lasting(
        Reason::CertificateUnreadable,
        format!("{FIELD}: {key} in Secret {name} {problem}; store the chain, leaf first, and its key in PEM"),
    )
}
