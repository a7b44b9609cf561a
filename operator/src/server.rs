//! Accepts connections and serves HTTP/1.1 on them, one task each, within bounds on their number, memory and time.

use std::{
    convert::Infallible,
    future::{Future, pending},
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
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A client that means it is done in a fraction of this.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Whoever connects has something to ask.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// What requests under way get to finish in after the shutdown began.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Before accepting again after a failure, such as no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bounds on what a connection holds in memory outside of its request's body.
const MAX_HEAD: usize = 16 << 10;
const MAX_BUFFER: usize = 64 << 10;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// A port and all that its connections need.
pub struct Server<H> {
    /// Where it listens.
    pub listener: TcpListener,
    /// None serves plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What it serves.
    pub handler: H,
    /// Connections at a time; more wait in the listener's queue.
    pub max_connections: usize,
    /// How long a connection may be idle after a request.
    pub idle_timeout: Duration,
}

/// What the tasks of a server share.
struct Shared<H> {
    tls: Option<TlsAcceptor>,
    handler: H,
    idle_timeout: Duration,
    shutdown: CancellationToken,
}

// === impl Server ===

impl<H: Handler> Server<H> {
    /// Serves until `shutdown`, then finishes the requests under way, for a while.
    pub async fn run(self, shutdown: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.max_connections));
        let connections = TaskTracker::new();
        let shared = Arc::new(Shared {
            tls: self.tls.map(TlsAcceptor::from),
            handler: self.handler,
            idle_timeout: self.idle_timeout,
            shutdown: shutdown.clone(),
        });
        while let Some(accepted) = shutdown.run_until_cancelled(accept(&self.listener, &places)).await {
            match accepted {
                Ok((stream, peer, place)) => {
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move {
                        shared.connection(stream, peer).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        if timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
            tracing::warn!("connections were still busy when the time to drain was over");
        }
    }
}

/// Waits for a free place first, so that a flood stays in the kernel.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

// === impl Shared ===

impl<H: Handler> Shared<H> {
    /// Port scans and probes that only connect end here too, so that failures are hardly worth a word.
    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(tls) = &self.tls else {
            return self.http(stream, peer).await;
        };
        match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn http<IO>(&self, stream: IO, peer: SocketAddr)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let asked = CancellationToken::new();
        let service = service_fn(|request| {
            asked.cancel();
            async { Ok::<_, Infallible>(self.handler.handle(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.idle_timeout)
            .max_header_size(MAX_HEAD)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let silence = async {
            if timeout(FIRST_REQUEST_TIMEOUT, asked.cancelled()).await.is_ok() {
                pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = silence => return tracing::debug!(%peer, "connection without a request"),
            () = self.shutdown.cancelled() => {
                // closes an idle connection, and a busy one after its answer
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::Instant,
    };

    use super::*;

    const IDLE: Duration = Duration::from_mins(1);

    struct Empty;

    impl Handler for Empty {
        async fn handle(&self, _: Request<Incoming>) -> Response<Full<Bytes>> {
            Response::new(Full::default())
        }
    }

    /// A connection to a server that takes one at a time, and the server's address.
    async fn connect() -> (TcpStream, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server { listener, tls: None, handler: Empty, max_connections: 1, idle_timeout: IDLE };
        tokio::spawn(server.run(CancellationToken::new()));
        (TcpStream::connect(address).await.unwrap(), address)
    }

    async fn ask(stream: &mut TcpStream) {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
        }
    }

    async fn time_until_closed(mut stream: TcpStream) -> Duration {
        let started = Instant::now();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        Duration::from_secs(started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_holds_its_place_for_a_short_time() {
        let (silent, address) = connect().await;
        let mut next = TcpStream::connect(address).await.unwrap();
        assert_eq!(time_until_closed(silent).await, FIRST_REQUEST_TIMEOUT);
        ask(&mut next).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_asked_is_kept_for_longer() {
        let (mut stream, _) = connect().await;
        ask(&mut stream).await;
        sleep(FIRST_REQUEST_TIMEOUT * 2).await;
        ask(&mut stream).await;
        assert_eq!(time_until_closed(stream).await, IDLE);
    }
}
