//! The admission server's own certificates: a CA that all replicas share through a Secret, and a short-lived leaf that
//! each replica signs for itself in memory. Pure: time is a parameter, nothing is read or written.
//!
//! During a rotation the CA bundle holds the new and the previous certificate, for as long as a leaf signed by the
//! previous one can be alive. No Debug output shows a private key.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    sign::CertifiedKey,
};
use time::OffsetDateTime;

/// How long a CA certificate is valid.
const CA_LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);
/// How long a leaf is valid, and so for how long after a rotation the previous CA has to stay trusted.
const LEAF_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Certificates begin this much in the past, for API servers whose clocks lag behind ours.
const BACKDATE: SignedDuration = SignedDuration::from_mins(5);

/// Keys of the CA's Secret.
const CERTIFICATE: &str = "ca.crt";
const PRIVATE_KEY: &str = "ca.key";
const PREVIOUS_CERTIFICATE: &str = "previous.crt";

/// Why certificates can't be made or read. Names parts of the Secret, never their content.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the Secret has no key {0}")]
    Missing(&'static str),
    #[error("{0} in the Secret can't be read")]
    Unreadable(&'static str),
    #[error("ca.key in the Secret doesn't belong to ca.crt")]
    KeyMismatch,
    #[error("can't make a certificate")]
    Generate(#[from] rcgen::Error),
    #[error("can't serve the certificate")]
    Serve(#[from] rustls::Error),
    #[error("the clock shows a year that certificates can't hold")]
    Clock(#[from] time::error::ComponentRange),
}

/// The CA: its key, its certificate, and the certificate before that, which may still be in use.
pub struct Authority {
    key: KeyPair,
    current: CaCertificate,
    previous: Option<CaCertificate>,
}

#[derive(Clone, PartialEq, Eq)]
struct CaCertificate {
    pem: String,
    public_key: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

// Shows when the CA is valid: its key is secret.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("not_before", &self.current.not_before)
            .field("not_after", &self.current.not_after)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// A new CA with nothing before it.
    pub fn generate(now: Timestamp) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let mut params = ca_params();
        params.not_before = offset(now - BACKDATE)?;
        params.not_after = offset(now + CA_LIFETIME)?;
        let pem = params.self_signed(&key)?.pem();
        let current = CaCertificate::parse(pem, CERTIFICATE)?;
        Ok(Self { key, current, previous: None })
    }

    /// A new CA that remembers this one's certificate.
    pub fn renewed(&self, now: Timestamp) -> Result<Self, Error> {
        Ok(Self { previous: Some(self.current.clone()), ..Self::generate(now)? })
    }

    /// Reads the CA from the data of its Secret.
    pub fn from_data(data: &BTreeMap<String, ByteString>) -> Result<Self, Error> {
        let text = |key: &'static str| {
            let bytes = data.get(key).ok_or(Error::Missing(key))?;
            String::from_utf8(bytes.0.clone()).map_err(|_| Error::Unreadable(key))
        };
        // the parser's own error could quote the key
        let key = KeyPair::from_pem(&text(PRIVATE_KEY)?).map_err(|_| Error::Unreadable(PRIVATE_KEY))?;
        let current = CaCertificate::parse(text(CERTIFICATE)?, CERTIFICATE)?;
        if key.public_key_raw() != current.public_key {
            return Err(Error::KeyMismatch);
        }
        let previous = match text(PREVIOUS_CERTIFICATE) {
            Err(Error::Missing(_)) => None,
            pem => Some(CaCertificate::parse(pem?, PREVIOUS_CERTIFICATE)?),
        };
        Ok(Self { key, current, previous })
    }

    /// What the CA's Secret holds.
    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        let entry = |key: &str, text: &str| (key.to_owned(), ByteString(text.as_bytes().to_vec()));
        let mut data = BTreeMap::from([
            entry(CERTIFICATE, &self.current.pem),
            entry(PRIVATE_KEY, &self.key.serialize_pem()),
        ]);
        data.extend(self.previous.as_ref().map(|previous| entry(PREVIOUS_CERTIFICATE, &previous.pem)));
        data
    }

    /// Whether two thirds of the CA's life are over.
    pub fn is_due(&self, now: Timestamp) -> bool {
        two_thirds_over(self.current.not_before, self.current.not_after, now)
    }

    /// What clients have to trust, as PEM: the CA, and the previous one while a leaf of it can be alive.
    pub fn bundle(&self, now: Timestamp) -> String {
        let rotated_at = self.current.not_before + BACKDATE;
        let previous = self
            .previous
            .as_ref()
            .filter(|previous| now < rotated_at + LEAF_LIFETIME && now < previous.not_after);
        let mut bundle = self.current.pem.clone();
        bundle.extend(previous.map(|previous| previous.pem.as_str()));
        bundle
    }

    /// Signs a leaf for `names`. Its subject is empty, as a common name has no room for a long DNS name.
    pub fn sign_leaf(&self, names: &[String], now: Timestamp) -> Result<Leaf, Error> {
        let not_after = (now + LEAF_LIFETIME).min(self.current.not_after);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = offset(now - BACKDATE)?;
        params.not_after = offset(not_after)?;

        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &Issuer::new(ca_params(), &self.key))?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain: Vec<CertificateDer<'static>> = vec![certificate.into()];
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Ok(Leaf {
            certified: Arc::new(CertifiedKey::from_der(chain, key, &provider)?),
            issuer: self.current.clone(),
            not_before: now - BACKDATE,
            not_after,
        })
    }
}

/// A serving certificate with its key.
pub struct Leaf {
    certified: Arc<CertifiedKey>,
    issuer: CaCertificate,
    not_before: Timestamp,
    not_after: Timestamp,
}

// Shows when the leaf is valid: its key is secret.
impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Leaf {
    /// What a TLS server needs to present it.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified)
    }

    /// Whether a client that trusts `bundle` accepts it.
    pub fn is_trusted_by(&self, bundle: &str) -> bool {
        bundle.contains(&self.issuer.pem)
    }

    /// Whether it has to be replaced: two thirds of its life are over, or the CA is another one by now.
    pub fn is_due(&self, authority: &Authority, now: Timestamp) -> bool {
        self.issuer != authority.current || two_thirds_over(self.not_before, self.not_after, now)
    }
}

impl CaCertificate {
    /// `name` says where the text comes from.
    fn parse(pem: String, name: &'static str) -> Result<Self, Error> {
        let (_, block) =
            x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| Error::Unreadable(name))?;
        let certificate = block.parse_x509().map_err(|_| Error::Unreadable(name))?;
        let timestamp = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).map_err(|_| Error::Unreadable(name))
        };
        let validity = certificate.validity();
        let (not_before, not_after) = (timestamp(validity.not_before)?, timestamp(validity.not_after)?);
        let public_key = certificate.public_key().subject_public_key.data.to_vec();
        Ok(Self { pem, public_key, not_before, not_after })
    }
}

/// The CA's parameters but for its validity. Every CA has the same name; the key identifier tells them apart.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "telegram-webhook-operator admission CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn two_thirds_over(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> bool {
    now.duration_since(not_before) * 3 >= not_after.duration_since(not_before) * 2
}

fn offset(timestamp: Timestamp) -> Result<OffsetDateTime, Error> {
    Ok(OffsetDateTime::from_unix_timestamp(timestamp.as_second())?)
}

#[cfg(test)]
mod tests;
