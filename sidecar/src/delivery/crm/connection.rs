//! A connection to the CRM that is driven by whoever uses it.
//!
//! Usually a connection of hyper has a task of its own, and each update costs two ways between that and the task that waits for the
//! answer. Here the waiting task does the work itself. An idle connection is driven by nobody: that the CRM has closed it is found
//! out by the next who uses it, before a byte of his request is sent.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::coop::unconstrained, time::timeout};

/// The CRM is in the same pod: it listens or it doesn't.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bounds the head of an answer.
pub(super) const MAX_BUFFER: usize = 64 << 10;

/// What the CRM is asked: a whole update.
pub(super) type Post = Request<Full<Bytes>>;

pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Reads and writes when it is polled; gone when the connection has ended.
    driver: Option<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

/// Nobody listens.
#[derive(Debug)]
pub(super) struct Refused;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NotAnswered {
    /// The connection had ended before a byte of the request was sent: here it is again.
    Unsent(Box<Post>),
    /// The CRM may have the request.
    Broken,
}

// === impl Connection ===

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self, Refused> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let stream = stream.map_err(|_| Refused)?.map_err(|_| Refused)?;
        stream.set_nodelay(true).map_err(|_| Refused)?;
        let handshake = http1::Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(stream));
        let (sender, driver) = handshake.await.map_err(|_| Refused)?;
        Ok(Self { sender, driver: Some(Box::new(driver)) })
    }

    /// Sends a request and waits for the head of its answer. The rest has to be read before the next one: see
    /// [`Discard`](super::discard::Discard). Stopping halfway leaves a connection that can only be dropped.
    pub(super) async fn exchange(&mut self, request: Post) -> Result<Response<Incoming>, NotAnswered> {
        // outside of the task's budget: without it the answer may say that it isn't there, and our quiet waker not hear that it is
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        let mut sent = false;
        let answered = poll_fn(|cx| {
            // the answer comes by our own driving only: it needs to wake nobody
            let mut quiet = Context::from_waker(Waker::noop());
            // the connection keeps the waker of its last poll until the next request, which would wake its own task for nothing;
            // so the poll that mostly is the last one leaves none, and another follows if it wasn't
            if sent {
                self.drive(&mut quiet);
                if let Poll::Ready(answered) = answer.as_mut().poll(&mut quiet) {
                    return Poll::Ready(answered);
                }
            }
            sent = true;
            self.drive(cx);
            answer.as_mut().poll(&mut quiet)
        });
        answered.await.map_err(|mut error| match error.take_message() {
            Some(request) => NotAnswered::Unsent(Box::new(request)),
            None => NotAnswered::Broken,
        })
    }

    /// Reads and writes what can be.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        let ended = self.driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(cx).is_ready());
        if ended {
            // only when it is dropped does a request that it hasn't begun come back
            self.driver = None;
        }
    }

    /// Whether it waits for the next request, the last one's answer having been read.
    pub(super) fn is_idle(&self) -> bool {
        !self.has_ended() && self.sender.is_ready()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.driver.is_none()
    }
}
