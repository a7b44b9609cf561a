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
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod places;

pub use self::places::Place;
use self::places::Places;

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
    /// Answers one. Whoever has shown by it that they may be here keeps their place.
    fn handle(
        &self,
        place: &Place,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// A port and all that its connections need.
pub struct Server<H> {
    /// Where it listens.
    pub listener: TcpListener,
    /// None serves plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What it serves.
    pub handler: H,
    /// Beyond this many, the oldest that has proven nothing gives way; where there is none, the newest is closed at once.
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
        let places = Places::new(self.max_connections);
        let connections = TaskTracker::new();
        let shared = Arc::new(Shared {
            tls: self.tls.map(TlsAcceptor::from),
            handler: self.handler,
            idle_timeout: self.idle_timeout,
            shutdown: shutdown.clone(),
        });
        while let Some(accepted) = shutdown.run_until_cancelled(self.listener.accept()).await {
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = places.take() else {
                tracing::debug!(%peer, "no place for another connection");
                continue;
            };
            let shared = Arc::clone(&shared);
            connections.spawn(async move {
                tokio::select! {
                    () = shared.connection(stream, peer, &place) => {}
                    () = place.evicted() => tracing::debug!(%peer, "connection gave way to another"),
                }
            });
        }
        drop(self.listener);
        connections.close();
        if timeout(DRAIN_TIMEOUT, connections.wait()).await.is_err() {
            tracing::warn!("connections were still busy when the time to drain was over");
        }
    }
}

// === impl Shared ===

impl<H: Handler> Shared<H> {
    /// Port scans and probes that only connect end here too, so that failures are hardly worth a word.
    async fn connection(&self, stream: TcpStream, peer: SocketAddr, place: &Place) {
        let Some(tls) = &self.tls else {
            return self.http(stream, peer, place).await;
        };
        match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.http(stream, peer, place).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn http<IO>(&self, stream: IO, peer: SocketAddr, place: &Place)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let asked = CancellationToken::new();
        let service = service_fn(|request| {
            asked.cancel();
            async { Ok::<_, Infallible>(self.handler.handle(place, request).await) }
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

    /// Takes a request of this path for a proof.
    const PROOF: &str = "/proof";

    struct Empty;

    impl Handler for Empty {
        async fn handle(&self, place: &Place, request: Request<Incoming>) -> Response<Full<Bytes>> {
            if request.uri().path() == PROOF {
                place.prove();
            }
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
        ask_for("/", stream).await;
    }

    async fn ask_for(path: &str, stream: &mut TcpStream) {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
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
    async fn a_connection_without_a_request_is_closed_after_a_short_time() {
        let (silent, _) = connect().await;
        assert_eq!(time_until_closed(silent).await, FIRST_REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_connection_that_asks_again_and_again_without_a_proof_keeps_nobody_out() {
        let (mut busy, address) = connect().await;
        for _ in 0..3 {
            ask(&mut busy).await;
        }
        let mut newer = TcpStream::connect(address).await.unwrap();
        ask(&mut newer).await;
        assert_eq!(busy.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_with_a_proof_stays_and_the_newest_is_closed() {
        let (mut proven, address) = connect().await;
        ask_for(PROOF, &mut proven).await;
        let newer = TcpStream::connect(address).await.unwrap();
        assert_eq!(time_until_closed(newer).await, Duration::ZERO);
        ask(&mut proven).await;
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
