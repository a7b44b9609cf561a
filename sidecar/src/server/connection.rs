//! What happens to one connection: the proxy's header, the TLS handshake, requests until the end.

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
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
    Handler, Peer, Standing, Turned,
    client_ip::{Arrival, proxy_protocol},
    guarded::Guarded,
    handshakes::Handshakes,
    linger::Lingering,
    told::Told,
    waiting::{Progress, Waiting},
};
use crate::{
    address::{self, AddressKey},
    audit::DroppedConnections,
    metrics::{ConnectionEnd, Metrics},
};

/// A client that means it is done in a fraction of this.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Telegram's heads are below 1 KiB.
pub(super) const MAX_HEAD: usize = 16 << 10;
/// No larger than a head may be, because whoever sends one has proven nothing.
pub(super) const MAX_BUFFER: usize = MAX_HEAD;

/// What the tasks of a server share.
pub(super) struct Shared<H> {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) handler: H,
    pub(super) head_timeout: Duration,
    pub(super) metrics: Option<Metrics>,
    pub(super) handshakes: Handshakes,
    pub(super) dropped: DroppedConnections,
    pub(super) stop: CancellationToken,
}

/// How a connection begins, by its address.
#[derive(Clone, Copy)]
pub(super) enum Entrance {
    /// The client may come in. With a key it counts as one of that address.
    Open(Option<AddressKey>),
    /// The client's address comes first.
    Announced,
}

// === impl Shared ===

impl<H: Handler> Shared<H> {
    /// Decides by the address alone, before anything is spent on the connection.
    pub(super) fn entrance(&self, address: SocketAddr) -> Result<Entrance, ConnectionEnd> {
        let socket = address.ip().to_canonical();
        match self.handler.arrival(socket) {
            Arrival::Client => Ok(Entrance::Open(self.admit(socket)?)),
            Arrival::Announced => Ok(Entrance::Announced),
            Arrival::Forwarded => Ok(Entrance::Open(None)),
            Arrival::Untrusted => Err(ConnectionEnd::UntrustedProxy),
        }
    }

    /// Whether a client may begin a handshake, and by what it is counted: not at all if it is one that the port is there for, or
    /// if its address may stand for many clients.
    fn admit(&self, client: IpAddr) -> Result<Option<AddressKey>, ConnectionEnd> {
        match self.handler.admits(client) {
            Ok(Standing::Listed) => Ok(None),
            Ok(Standing::Unlisted) => {
                let key = address::is_global(client).then(|| address::key(client));
                if self.handshakes.admit(key) { Ok(key) } else { Err(ConnectionEnd::HandshakeRate) }
            }
            Err(Turned::Banned) => Err(ConnectionEnd::Banned),
            Err(Turned::Unlisted) => Err(ConnectionEnd::Unlisted),
        }
    }

    /// Serves a connection until it ends or has to give way.
    pub(super) async fn serve(&self, stream: TcpStream, mut peer: Peer, entrance: Entrance) {
        let open = self.metrics.as_ref().map(Metrics::connection_opened);
        let mut evicted = peer.evicted();
        let end = {
            let mut connection = pin!(self.connection(stream, &mut peer, entrance));
            let serving = poll_fn(|cx| {
                if evicted.as_mut().is_some_and(|evicted| evicted.poll(cx).is_ready()) {
                    return Poll::Ready(ConnectionEnd::Evicted);
                }
                connection.as_mut().poll(cx)
            });
            serving.await
        };
        self.count(end, peer.client);
        drop((open, peer));
    }

    async fn connection(&self, mut stream: TcpStream, peer: &mut Peer, entrance: Entrance) -> ConnectionEnd {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %peer.address, %error, "the connection was gone already");
            return ConnectionEnd::Failed;
        }
        if matches!(entrance, Entrance::Announced)
            && let Err(end) = self.introduce(&mut stream, peer).await
        {
            return end;
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
        if let Some(key) = self.admit(peer.client)? {
            peer.count_as(key);
        }
        Ok(())
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
        let mut waiting = Waiting::new(progress.clone(), self.head_timeout);
        let mut stopped = Some(Told::new(self.stop.clone()));
        let serving = poll_fn(|cx| {
            if stopped.as_mut().is_some_and(|stopped| stopped.poll(cx).is_ready()) {
                stopped = None;
                // closes an idle connection, and a busy one after its answer
                connection.as_mut().graceful_shutdown();
            }
            match connection.as_mut().poll(cx) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending => waiting.poll_over(cx).map(|()| None),
            }
        });
        match serving.await {
            Some(Ok(())) => ConnectionEnd::Closed,
            None => ConnectionEnd::HeadTimeout,
            Some(Err(error)) => {
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
