//! Whom deliveries trust: the roots of the system or of `--ca-file`, or nothing but the certificate uploaded with
//! setWebhook, which Telegram accepts even when it is self-signed and marked as an authority.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};

const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// What is wrong with a file of roots or an uploaded certificate.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("can't read the roots from {path}: {source}")]
    Roots { path: String, source: rustls::pki_types::pem::Error },
    #[error("the uploaded certificate is not PEM")]
    Certificate,
    #[error("can't set up TLS: {0}")]
    Tls(String),
}

/// Trust in the roots of `ca_file`, or of the system.
pub fn roots(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let mut store = RootCertStore::empty();
    let path = ca_file.or_else(|| SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists()));
    if let Some(path) = path {
        let failed = |source| TrustError::Roots { path: path.display().to_string(), source };
        for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
            // the system's bundle may hold roots that this library doesn't accept
            store.add_parsable_certificates([certificate.map_err(failed)?]);
        }
    }
    Ok(config(ClientConfig::builder().with_root_certificates(store)))
}

/// Trust in an uploaded certificate alone.
pub fn certificate(pem: &[u8]) -> Result<Arc<ClientConfig>, TrustError> {
    let uploaded: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| TrustError::Certificate)?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(uploaded.iter().cloned());
    if store.is_empty() {
        return Err(TrustError::Certificate);
    }
    let verifier = UploadedVerifier {
        chain: WebPkiServerVerifier::builder(Arc::new(store))
            .build()
            .map_err(|error| TrustError::Tls(error.to_string()))?,
        uploaded,
    };
    Ok(config(ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(verifier))))
}

fn config(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
) -> Arc<ClientConfig> {
    let mut config = builder.with_no_client_auth();
    // every connection is a full handshake, so that a changed certificate is looked at
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// Accepts the uploaded certificate itself, where a plain verifier would refuse an authority as a server's certificate.
#[derive(Debug)]
struct UploadedVerifier {
    chain: Arc<WebPkiServerVerifier>,
    uploaded: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for UploadedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.uploaded.iter().any(|known| known == end_entity) {
            return self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        }
        let (_, parsed) = x509_parser::parse_x509_certificate(end_entity)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if parsed.validity().not_after.timestamp() < now {
            return Err(Error::InvalidCertificate(CertificateError::Expired));
        }
        if parsed.validity().not_before.timestamp() > now {
            return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
