//! A webhook's server that answers by script and notes what it got, over any stream; and a network that leads to it
//! without sockets, so that a paused clock moves only when everything waits.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use telegram_webhook_tests::telegram::network::{Connection, Network, Target};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf},
    time::{Instant, sleep},
};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    /// From 1.
    pub connection: usize,
    /// Everything before the empty line.
    pub head: String,
    pub body: Vec<u8>,
    pub update_id: i64,
    /// `message.chat.id`, or 0.
    pub chat: i64,
    /// Which try of this update it is, from 1.
    pub attempt: usize,
}

/// What the server does with a request.
#[derive(Clone)]
pub enum Action {
    Answer(Vec<u8>),
    After(Duration, Box<Self>),
    /// Never answers; the connection stays.
    Silence,
    Reset,
    /// Closes without an answer.
    Close,
    /// Ends TLS without an answer and leaves TCP open.
    CloseTlsOnly,
}

impl Action {
    pub fn ok() -> Self {
        Self::status("200 OK")
    }

    pub fn status(status: &str) -> Self {
        Self::raw(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))
    }

    pub fn retry_after(status: &str, seconds: &str) -> Self {
        Self::raw(&format!("HTTP/1.1 {status}\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\n\r\n"))
    }

    pub fn raw(bytes: &str) -> Self {
        Self::Answer(bytes.as_bytes().to_vec())
    }

    pub fn body(content_type: &str, body: &str) -> Self {
        Self::raw(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    pub fn after(self, seconds: f64) -> Self {
        Self::After(Duration::from_secs_f64(seconds), Box::new(self))
    }
}

type Answering = dyn Fn(&Received) -> Action + Send + Sync;

/// The server: its script and its notes.
pub struct Script {
    answering: Box<Answering>,
    received: Mutex<Vec<Received>>,
    opened: Mutex<Vec<Instant>>,
    connections: AtomicUsize,
    /// Connections that the client closed.
    pub left: AtomicUsize,
}

impl Script {
    pub fn new(answering: impl Fn(&Received) -> Action + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answering: Box::new(answering),
            received: Mutex::default(),
            opened: Mutex::default(),
            connections: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
        })
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub fn opened(&self) -> Vec<Instant> {
        self.opened.lock().unwrap().clone()
    }

    /// Serves one connection; the result says how the stream is to end.
    pub async fn serve(
        self: Arc<Self>,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> io::Result<End> {
        self.opened.lock().unwrap().push(Instant::now());
        let connection = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let mut buffer = Vec::new();
        loop {
            let Some((head, body)) = read_request(stream, &mut buffer).await? else {
                self.left.fetch_add(1, Ordering::SeqCst);
                return Ok(End::Closed);
            };
            let mut action = self.note(connection, head, body);
            while let Action::After(time, then) = action {
                sleep(time).await;
                action = *then;
            }
            match action {
                Action::Answer(bytes) => stream.write_all(&bytes).await?,
                Action::Reset => return Ok(End::Reset),
                Action::Close => return Ok(End::Closed),
                Action::CloseTlsOnly => return Ok(End::TlsOnly),
                Action::Silence | Action::After(..) => {}
            }
        }
    }

    fn note(&self, connection: usize, head: String, body: Vec<u8>) -> Action {
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let update_id = json["update_id"].as_i64().unwrap_or_default();
        let mut received = self.received.lock().unwrap();
        let request = Received {
            at: Instant::now(),
            connection,
            head,
            body,
            update_id,
            chat: json["message"]["chat"]["id"].as_i64().unwrap_or_default(),
            attempt: received.iter().filter(|earlier| earlier.update_id == update_id).count() + 1,
        };
        received.push(request.clone());
        drop(received);
        (self.answering)(&request)
    }
}

async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> io::Result<Option<(String, Vec<u8>)>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "))
                .and_then(|length| length.parse().ok())
                .unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                let rest = buffer.split_off(end + 4 + length);
                let request = std::mem::replace(buffer, rest);
                return Ok(Some((head, request[end + 4..].to_vec())));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed = 1,
    Reset = 2,
    TlsOnly = 3,
}

/// Names and connections that lead to a script.
pub struct ScriptedNetwork {
    pub script: Arc<Script>,
    pub names: Mutex<HashMap<String, Result<Vec<IpAddr>, String>>>,
    pub lookups: AtomicUsize,
    /// Addresses that were connected to.
    pub targets: Mutex<Vec<Target>>,
    /// When set, connecting fails with this text.
    pub refusal: Mutex<Option<String>>,
    /// When set, connecting never ends.
    pub hangs: Mutex<bool>,
}

impl ScriptedNetwork {
    pub fn new(script: Arc<Script>) -> Arc<Self> {
        Arc::new(Self {
            script,
            names: Mutex::default(),
            lookups: AtomicUsize::new(0),
            targets: Mutex::default(),
            refusal: Mutex::default(),
            hangs: Mutex::default(),
        })
    }

    pub fn name(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.names.lock().unwrap().insert(host.to_owned(), Ok(addresses));
    }
}

impl Network for ScriptedNetwork {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let known = self.names.lock().unwrap().get(host).cloned();
        Box::pin(async { known.unwrap_or_else(|| Err("Name or service not known".to_owned())) })
    }

    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Box<dyn Connection>, String>> {
        self.targets.lock().unwrap().push(target.clone());
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Box::pin(async { Err(refusal) });
        }
        if *self.hangs.lock().unwrap() {
            return Box::pin(std::future::pending());
        }
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let end = Arc::new(AtomicU8::new(0));
        let (script, ending) = (Arc::clone(&self.script), Arc::clone(&end));
        tokio::spawn(async move {
            if let Ok(end) = script.serve(&mut far).await {
                ending.store(end as u8, Ordering::SeqCst);
            }
        });
        Box::pin(async move { Ok(Box::new(ScriptedConnection { stream: near, end }) as Box<dyn Connection>) })
    }
}

struct ScriptedConnection {
    stream: DuplexStream,
    end: Arc<AtomicU8>,
}

impl Connection for ScriptedConnection {
    fn poll_transport_end(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.end.load(Ordering::SeqCst) == End::TlsOnly as u8 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl AsyncRead for ScriptedConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() == before && self.end.load(Ordering::SeqCst) == End::Reset as u8 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ScriptedConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
