//! Certificates for tests: an authority of our own, and leaves for host names.

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

/// A certificate authority that only the test trusts.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate chain (leaf first) and its private key, both PEM, as a `kubernetes.io/tls` Secret holds them.
#[derive(Clone)]
pub struct Leaf {
    /// Certificate chain.
    pub chain: String,
    /// Private key.
    pub key: String,
    /// The leaf alone, as a server shows it.
    pub certificate: CertificateDer<'static>,
}

impl Authority {
    /// A new authority, valid for 100 days.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "telegram-webhook test authority");
        params.not_before = OffsetDateTime::now_utc() - Duration::days(2);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(100);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// The authority's certificate as PEM, for a client to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The same as DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A leaf for `host`, valid for 90 days.
    pub fn issue(&self, host: &str) -> anyhow::Result<Leaf> {
        self.issue_until(host, OffsetDateTime::now_utc() + Duration::days(90))
    }

    /// A leaf for `host` that expired yesterday.
    pub fn issue_expired(&self, host: &str) -> anyhow::Result<Leaf> {
        self.issue_until(host, OffsetDateTime::now_utc() - Duration::days(1))
    }

    fn issue_until(&self, host: &str, end: OffsetDateTime) -> anyhow::Result<Leaf> {
        let mut params = CertificateParams::new([host.to_owned()]).context("not a host name")?;
        params.not_before = OffsetDateTime::now_utc() - Duration::days(2);
        params.not_after = end;
        // as a public authority issues them
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let revoked = "http://authority.example.com/revoked.crl".to_owned();
        params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![revoked] }];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Leaf {
            chain: format!("{}{}", certificate.pem(), self.pem),
            key: key.serialize_pem(),
            certificate: certificate.der().clone(),
        })
    }
}
