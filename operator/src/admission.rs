//! The admission webhook: pods that opt in get the sidecar, or a denial that says why not. Every replica serves; none needs
//! the lease.
//!
//! ```text
//! server (HTTPS, bounds) -> review (look up, word the answer) -> inject (decide, pure)
//! keeper (CA Secret, caBundle, leaf on time) -> certs (make and judge, pure)
//! ```

mod certs;
#[cfg(test)]
mod fixture;
mod inject;
mod keeper;
mod review;
mod server;
mod size;

use std::{io, net::SocketAddr, sync::Arc};

use rustls::ServerConfig;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

pub use self::inject::{DEFAULT_CONTAINER_ANNOTATION, Images};
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
    /// Images that the injected container may have.
    pub images: Images,
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
    let Settings { address, namespace, service, configuration, images } = settings;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let certificate = Arc::new(ServingCertificate::default());
    let keeper = Keeper::new(&client, &namespace, &service, configuration, Arc::clone(&certificate), ready);
    let reviewer = Reviewer { lookup: client, images };
    tokio::select! {
        () = server::serve(listener, tls(certificate), reviewer, shutdown) => Ok(()),
        never = keeper.keep() => match never {},
    }
}

fn tls(certificate: Arc<ServingCertificate>) -> Arc<ServerConfig> {
    let mut tls = ServerConfig::builder().with_no_client_auth().with_cert_resolver(certificate);
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(tls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, cluster::FakeCluster};

    fn settings(address: SocketAddr) -> Settings {
        Settings {
            address,
            namespace: "operators".to_owned(),
            service: "admission".to_owned(),
            configuration: "injector".to_owned(),
            images: Images { injected: "sidecar:1".to_owned(), mirrors: Vec::new() },
        }
    }

    #[tokio::test]
    async fn it_is_ready_once_its_certificate_is_trusted_and_ends_at_shutdown() {
        fixtures::install_crypto();
        let cluster = FakeCluster::start().await;
        fixture::configure(&cluster);
        let (ready, mut readiness) = watch::channel(false);
        let shutdown = CancellationToken::new();
        let settings = settings("127.0.0.1:0".parse().unwrap());
        let running = tokio::spawn(run(cluster.client(), settings, ready, shutdown.clone()));
        readiness.wait_for(|&ready| ready).await.unwrap();
        assert!(fixture::bundle(&cluster).contains("BEGIN CERTIFICATE"));
        shutdown.cancel();
        running.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = settings(taken.local_addr().unwrap());
        fixtures::install_crypto();
        let client = FakeCluster::start().await.client();
        let result = run(client, settings, watch::channel(false).0, CancellationToken::new()).await;
        assert!(matches!(result, Err(Error::Listen { .. })));
    }
}
