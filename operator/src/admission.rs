//! The admission webhook: pods that opt in get the sidecar, or a denial that says why not. Every replica serves; none needs
//! the lease.
//!
//! ```text
//! server (HTTPS, bounds) -> review (look up, word the answer) -> inject (decide, pure)
//! keeper (CA Secret, caBundle, leaf on time) -> certs (make and judge, pure)
//! ```

mod api;
mod certs;
mod inject;
mod keeper;
mod review;
mod server;

use std::{io, net::SocketAddr, sync::Arc};

use rustls::ServerConfig;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use self::{
    keeper::{Keeper, ServingCertificate},
    review::Reviewer,
};

/// What the admission webhook has to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// The operator's own namespace, which holds the CA's Secret.
    pub namespace: String,
    /// Name of the Service by which API servers reach us.
    pub service: String,
    /// Name of the MutatingWebhookConfiguration whose `caBundle` we keep.
    pub configuration: String,
    /// Image of the injected container.
    pub sidecar_image: String,
}

/// Why the admission webhook can't serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or the address is not ours.
    #[error("can't listen for admission requests on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Serves until `shutdown`. Sends true to `ready` once API servers can trust the certificate that is served, and false
/// should that cease to be so.
pub async fn run(
    client: kube::Client,
    settings: Settings,
    ready: watch::Sender<bool>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let Settings {
        address,
        namespace,
        service,
        configuration,
        sidecar_image,
    } = settings;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })?;
    let certificate = Arc::new(ServingCertificate::default());
    let keeper = Keeper::new(
        &client,
        &namespace,
        &service,
        configuration,
        Arc::clone(&certificate),
        ready,
    );
    let reviewer = Arc::new(Reviewer {
        lookup: client,
        sidecar_image,
    });
    tokio::select! {
        () = server::serve(listener, tls(certificate), reviewer, shutdown) => Ok(()),
        never = keeper.keep() => match never {},
    }
}

fn tls(certificate: Arc<ServingCertificate>) -> Arc<ServerConfig> {
    let mut tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(tls)
}
