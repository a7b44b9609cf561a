//! What happens to one connection: the proxy's header, the TLS handshake, requests until the end.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    ConnectionEnd, Handler, Peer, Standing, Turned,
    client_ip::{Arrival, proxy_protocol},
    guarded::Guarded,
    handshakes::Handshakes,
    linger::Lingering,
    places::{Place, Places},
    told::Told,
    waiting::{Progress, Waiting},
};
use crate::{
    address::{self, AddressKey},
    audit::DroppedConnections,
    metrics::Metrics,
};

/// A client that means it is done in a fraction of this.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of trusted proxies that may be without their header at a time: the oldest gives way. It comes with the first packet.
pub(super) const MAX_INTRODUCTIONS: usize = 128;
/// Telegram's heads are below 1 KiB.
pub(super) const MAX_HEAD: usize = 16 << 10;
/// No larger than a head may be, because whoever sends one has proven nothing.
pub(crate) const MAX_BUFFER: usize = MAX_HEAD;

/// What the tasks of a server share.
pub(super) struct Shared<H> {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) handler: H,
    pub(super) idle_timeout: Duration,
    pub(super) metrics: Option<Metrics>,
    pub(super) handshakes: Handshakes,
    /// Of the connections whose clients are yet to be named.
    pub(super) introductions: Arc<Places>,
    /// Of all others.
    pub(super) places: Arc<Places>,
    pub(super) dropped: DroppedConnections,
    pub(super) stop: CancellationToken,
}

/// How a connection begins, by its address.
pub(super) enum Entrance {
    /// The client may come in, and has its place.
    Open(Peer),
    /// The client's address comes first. Until then the connection has a place among those of which that holds.
    Announced(Peer, Place),
}

// === impl Shared ===

impl<H: Handler> Shared<H> {
    /// Decides by the address alone, before anything is spent on the connection.
    pub(super) fn entrance(&self, address: SocketAddr) -> Result<Entrance, ConnectionEnd> {
        let mut peer = Peer::new(address);
        peer.arrival = self.handler.arrival(peer.client);
        match peer.arrival {
            Arrival::Client => self.admit(&mut peer)?,
            Arrival::Announced => {
                let place = self.introductions.take(MAX_INTRODUCTIONS, Standing::Unlisted, None);
                return Ok(Entrance::Announced(peer, place.ok_or(ConnectionEnd::OverLimit)?));
            }
            Arrival::Forwarded => self.give_place(&mut peer, Standing::Listed, None)?,
            Arrival::Untrusted => return Err(ConnectionEnd::UntrustedProxy),
        }
        Ok(Entrance::Open(peer))
    }

    /// Whether the client may begin a handshake, and what it is counted as: not at all if it is one that the port is there for, or
    /// if its address may stand for many clients.
    fn admit(&self, peer: &mut Peer) -> Result<(), ConnectionEnd> {
        match self.handler.admits(peer.client) {
            Ok(Standing::Listed) => self.give_place(peer, Standing::Listed, None),
            Ok(Standing::Unlisted) => {
                let key = address::is_global(peer.client).then(|| address::key(peer.client));
                if !self.handshakes.admit(key) {
                    return Err(ConnectionEnd::HandshakeRate);
                }
                self.give_place(peer, Standing::Unlisted, key)
            }
            Err(Turned::Banned) => Err(ConnectionEnd::Banned),
            Err(Turned::Unlisted) => Err(ConnectionEnd::Unlisted),
        }
    }

    /// From here on others may have to give way to it.
    fn give_place(
        &self,
        peer: &mut Peer,
        standing: Standing,
        key: Option<AddressKey>,
    ) -> Result<(), ConnectionEnd> {
        let place = self.places.take(self.handler.max_connections(), standing, key);
        peer.place = Some(place.ok_or(ConnectionEnd::OverLimit)?);
        Ok(())
    }

    /// Serves a connection until it ends or has to give way.
    pub(super) async fn serve(&self, mut stream: TcpStream, entrance: Entrance) {
        let open = self.metrics.as_ref().map(Metrics::connection_opened);
        let (peer, introduced) = match entrance {
            Entrance::Open(peer) => (peer, Ok(())),
            Entrance::Announced(mut peer, place) => {
                let evicted = Some(Told::new(place.evicted()));
                let introduced = unless_evicted(evicted, pin!(self.introduce(&mut stream, &mut peer))).await;
                (peer, introduced.unwrap_or(Err(ConnectionEnd::Evicted)))
            }
        };
        let end = match introduced {
            Ok(()) => {
                let connection = pin!(self.connection(stream, &peer));
                unless_evicted(peer.evicted(), connection).await.unwrap_or(ConnectionEnd::Evicted)
            }
            Err(end) => end,
        };
        self.count(end, peer.client);
        drop((open, peer));
    }

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

    /// Learns from a proxy who the client is, and decides about it as about one that came by itself.
    async fn introduce(&self, stream: &mut TcpStream, peer: &mut Peer) -> Result<(), ConnectionEnd> {
        match proxy_protocol::read(stream).await {
            Ok(client) => peer.client = client.unwrap_or(peer.client),
            Err(error) => {
                tracing::debug!(peer = %peer.address, %error, "no PROXY header");
                return Err(ConnectionEnd::BadProxyHeader);
            }
        }
        self.admit(peer)
    }

    pub(super) async fn http<IO>(&self, stream: IO, peer: &Peer) -> ConnectionEnd
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let progress = Progress::default();
        let guarded = Guarded::new(stream, progress.clone(), self.tls.is_some());
        let service = service_fn(|request| {
            progress.request_began();
            let progress = &progress;
            async move {
                let response = self.handler.handle(peer, request).await;
                progress.request_ended();
                Ok::<_, io::Error>(response)
            }
        });
        let connection = http1::Builder::new()
            .header_read_timeout(None) // see `waiting`
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER)
            .writev(false) // an answer is a head, and goes out in one piece
            .serve_connection(TokioIo::new(Lingering::new(guarded)), service);
        let mut connection = pin!(connection);
        let mut waiting = Waiting::new(progress.clone(), self.idle_timeout);
        let mut stopped = Some(Told::new(self.stop.clone()));
        let serving = poll_fn(|cx| {
            if stopped.as_mut().is_some_and(|stopped| stopped.poll(cx).is_ready()) {
                stopped = None;
                // closes an idle connection, and a busy one after its answer
                connection.as_mut().graceful_shutdown();
            }
            match connection.as_mut().poll(cx) {
                Poll::Ready(ended) => Poll::Ready(Ok(ended)),
                Poll::Pending => waiting.poll_over(cx).map(Err),
            }
        });
        match serving.await {
            Ok(Ok(())) => ConnectionEnd::Closed,
            Err(end) => end,
            Ok(Err(error)) => {
                tracing::debug!(peer = %peer.address, %error, "connection failed");
                ConnectionEnd::Failed
            }
        }
    }

    pub(super) fn count(&self, end: ConnectionEnd, client: IpAddr) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        metrics.connection_ended(end);
        if end.is_refusal() {
            self.dropped.dropped(end.label(), client);
        }
    }
}

/// What becomes of a connection; none if it has to give way before.
async fn unless_evicted<T>(
    mut evicted: Option<Told>,
    mut connection: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|cx| {
        if evicted.as_mut().is_some_and(|evicted| evicted.poll(cx).is_ready()) {
            return Poll::Ready(None);
        }
        connection.as_mut().poll(cx).map(Some)
    })
    .await
}
