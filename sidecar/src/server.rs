//! Accepts connections and serves HTTP/1.1 on them, one task each, within bounds on their number, memory and time.

mod linger;
mod places;
pub mod tls;

use std::{
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    linger::Lingering,
    places::{Place, Places},
};
use crate::metrics::{ConnectionEnd, Metrics};

/// A client that means it is done in a fraction of this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Telegram's heads are below 1 KiB.
const MAX_HEAD: usize = 16 << 10;
const MAX_BUFFER: usize = 64 << 10;
/// Pause when the system has no connection to give, which is when it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    fn handle(
        &self,
        peer: &Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// The other end of a connection.
pub struct Peer {
    pub address: SocketAddr,
    /// None outside of a server.
    place: Option<Place>,
}

/// A port and all that its connections need.
pub struct Server<H> {
    pub listener: TcpListener,
    /// None serves plain HTTP.
    pub tls: Option<TlsAcceptor>,
    pub handler: H,
    /// Beyond this many, the oldest that has proven nothing gives way; where there is none, the newest is closed at once.
    pub max_connections: usize,
    /// Time to send a request's head, which also is how long a connection may be idle.
    pub head_timeout: Duration,
    /// Counts the connections, where they are worth counting.
    pub metrics: Option<Metrics>,
}

/// What the tasks of a server share.
struct Shared<H> {
    tls: Option<TlsAcceptor>,
    handler: H,
    head_timeout: Duration,
    metrics: Option<Metrics>,
    stop: CancellationToken,
}

// === impl Peer ===

impl Peer {
    /// A peer that is known by its address alone.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, place: None }
    }

    /// It has shown that it may be here: its connection doesn't have to give way to others.
    pub fn prove(&self) {
        if let Some(place) = &self.place {
            place.prove();
        }
    }

    /// Ends when the connection has to give way.
    async fn evicted(&self) {
        match &self.place {
            Some(place) => place.evicted().await,
            None => pending().await,
        }
    }
}

// === impl Server ===

impl<H: Handler> Server<H> {
    /// Where it listens, for the log.
    pub fn address(&self) -> String {
        self.listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
    }

    /// Serves until told to stop, then until every connection has finished the request it is at.
    pub async fn run(self, stop: CancellationToken) {
        let places = Places::new(self.max_connections);
        let connections = TaskTracker::new();
        let shared = Arc::new(Shared {
            tls: self.tls,
            handler: self.handler,
            head_timeout: self.head_timeout,
            metrics: self.metrics,
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
            let Some(place) = places.take() else {
                shared.count(ConnectionEnd::OverLimit);
                continue;
            };
            let peer = Peer { address, place: Some(place) };
            let shared = Arc::clone(&shared);
            connections.spawn(async move {
                let open = shared.metrics.as_ref().map(Metrics::connection_opened);
                let end = tokio::select! {
                    end = shared.connection(stream, &peer) => end,
                    () = peer.evicted() => ConnectionEnd::Evicted,
                };
                shared.count(end);
                drop((open, peer));
            });
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }
}

// === impl Shared ===

impl<H: Handler> Shared<H> {
    async fn connection(&self, stream: TcpStream, peer: &Peer) -> ConnectionEnd {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %peer.address, %error, "the connection was gone already");
            return ConnectionEnd::Failed;
        }
        let Some(tls) = &self.tls else {
            return self.http(stream, peer).await;
        };
        match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream, peer).await,
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.address, %error, "TLS handshake failed");
                ConnectionEnd::HandshakeFailed
            }
            Err(_) => ConnectionEnd::HandshakeTimeout,
        }
    }

    async fn http<IO>(&self, stream: IO, peer: &Peer) -> ConnectionEnd
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| async move {
            let response = self.handler.handle(peer, request).await;
            Ok::<_, io::Error>(response)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(Lingering::new(stream)), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                // closes an idle connection, and a busy one after its answer
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        match ended {
            Ok(()) => ConnectionEnd::Closed,
            Err(error) => {
                tracing::debug!(peer = %peer.address, %error, "connection failed");
                ConnectionEnd::Failed
            }
        }
    }

    fn count(&self, end: ConnectionEnd) {
        if let Some(metrics) = &self.metrics {
            metrics.connection_ended(end);
        }
    }
}

#[cfg(test)]
mod tests;
