//! Accepts connections and serves HTTP/1.1 on them, one task each, within bounds on their number, memory and time.

pub mod client_ip;
mod connection;
mod connection_end;
mod guarded;
mod handshakes;
mod linger;
mod peer;
mod places;
pub mod tls;
mod told;
mod waiting;

use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::connection::MAX_BUFFER;
use self::{client_ip::Arrival, connection::Shared, handshakes::Handshakes};
pub use self::{connection_end::ConnectionEnd, guarded::HSTS, peer::Peer};
use crate::{audit::DroppedConnections, metrics::Metrics};

/// Pause when the system has no connection to give, which is when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Says who may connect, and answers requests.
pub trait Handler: Send + Sync + 'static {
    /// What the other end of a new connection is, by its address.
    fn arrival(&self, _socket: IpAddr) -> Arrival {
        Arrival::Client
    }

    /// Asked before the TLS handshake, where the client's address is known by then: who is turned away costs nothing more.
    fn admits(&self, _client: IpAddr) -> Result<Standing, Turned> {
        Ok(Standing::Listed)
    }

    /// Beyond this many, the oldest that has proven nothing gives way; where there is none, the newest is closed at once.
    fn max_connections(&self) -> usize;

    fn handle(
        &self,
        peer: &Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// What a client is by its address alone, in the order in which they give way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Unlisted,
    /// One of those that the port is there for: no bound on strangers holds for it.
    Listed,
}

/// Why a connection is dropped without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    Banned,
    Unlisted,
}

/// A port and all that its connections need.
pub struct Server<H> {
    pub listener: TcpListener,
    /// None serves plain HTTP.
    pub tls: Option<TlsAcceptor>,
    pub handler: H,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// Counts the connections, where they are worth counting.
    pub metrics: Option<Metrics>,
}

// === impl Server ===

impl<H: Handler> Server<H> {
    /// Where it listens, for the log.
    pub fn address(&self) -> String {
        self.listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    /// Serves until told to stop, then until every connection has finished the request it is at.
    pub async fn run(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let shared = Arc::new(Shared {
            tls: self.tls,
            handler: self.handler,
            idle_timeout: self.idle_timeout,
            metrics: self.metrics,
            handshakes: Handshakes::default(),
            introductions: Arc::default(),
            places: Arc::default(),
            dropped: DroppedConnections::default(),
            stop: stop.clone(),
        });
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let entrance = match shared.entrance(address) {
                Ok(entrance) => entrance,
                Err(end) => {
                    if !matches!(end, ConnectionEnd::OverLimit) {
                        abort(&stream);
                    }
                    shared.count(end, address.ip().to_canonical());
                    continue;
                }
            };
            let shared = Arc::clone(&shared);
            connections.spawn(async move { shared.serve(stream, entrance).await });
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }
}

/// Makes the end of a connection a reset: nothing of it stays behind, neither here nor there.
fn abort(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "a connection that was turned away is closed the long way");
    }
}

#[cfg(test)]
mod tests;
