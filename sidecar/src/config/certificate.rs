//! The certificate that a webhook shows, and its key. Whether the certificate is for the right name and still valid is the
//! operator's to watch: refusing it here would take a working bot down.

use std::sync::Arc;

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};

use super::{
    place::CertificatePart::{Chain, Key},
    problem::Findings,
    snapshot::Files,
};

/// The chain and its key, if the key belongs to the first certificate.
pub(super) fn parse(files: &Files, findings: &mut Findings<'_>) -> Option<Arc<CertifiedKey>> {
    let chain = CertificateDer::pem_slice_iter(&files.certificate).collect::<Result<Vec<_>, _>>();
    let chain = match chain {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) => {
            findings.certificate(Chain, "holds no certificate in PEM");
            None
        }
        Err(_) => {
            findings.certificate(Chain, "is not PEM");
            None
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&files.key);
    if key.is_err() {
        findings.certificate(Key, "holds no private key in PEM");
    }
    match CertifiedKey::from_der(chain?, key.ok()?, &aws_lc_rs::default_provider()) {
        Ok(certified) => Some(Arc::new(certified)),
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
