//! Certificates for tests: an authority of our own, and leaves for host names.

use anyhow::Context as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

/// A certificate authority that only the test trusts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate chain (leaf first) and its private key, both PEM.
#[derive(Clone)]
pub struct Leaf {
    /// Certificate chain.
    pub chain: String,
    /// Private key.
    pub key: String,
}

/// How long a leaf is valid, counted from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// From yesterday for 30 days.
    Current,
    /// It ended yesterday.
    Expired,
}

impl Authority {
    /// A new authority, valid for 30 days.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "telegram-webhook test authority");
        params.not_before = OffsetDateTime::now_utc() - Duration::days(2);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(30);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// The authority's certificate as PEM, for a client to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A leaf for `host`.
    pub fn issue(&self, host: &str, validity: Validity) -> anyhow::Result<Leaf> {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::new([host.to_owned()]).context("not a host name")?;
        params.not_before = now - Duration::days(2);
        params.not_after = match validity {
            Validity::Current => now + Duration::days(29),
            Validity::Expired => now - Duration::days(1),
        };
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Leaf {
            chain: format!("{}{}", certificate.pem(), self.pem),
            key: key.serialize_pem(),
        })
    }
}
