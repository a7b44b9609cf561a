//! A certificate authority for tests, and what it issues.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;

/// Issues certificates; clients that trust [`Authority::root`] accept them.
pub struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A leaf and its key, as a `kubernetes.io/tls` Secret holds them.
#[derive(Clone)]
pub struct Certificate {
    pub chain_pem: String,
    pub key_pem: String,
    pub leaf: CertificateDer<'static>,
}

// === impl Authority ===

impl Authority {
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.der().clone();
        let issuer = Issuer::new(params, key);
        Ok(Self { root, issuer })
    }

    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// A certificate for a host, with a new key.
    pub fn issue(&self, host: &str) -> anyhow::Result<Certificate> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new([host.to_owned()])?.signed_by(&key, &self.issuer)?;
        Ok(Certificate {
            chain_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            leaf: certificate.der().clone(),
        })
    }
}
