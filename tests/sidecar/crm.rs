//! A CRM that shows exactly what it received and answers as told.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use telegram_webhook_tests::sidecar::DEADLINE;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};

/// What it answers with.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: &'static str,
}

/// Listens until it is dropped.
pub struct Crm {
    pub port: u16,
    reply: Arc<Mutex<Reply>>,
    hold: watch::Sender<bool>,
    received: mpsc::UnboundedReceiver<(Parts, Bytes)>,
    task: tokio::task::JoinHandle<()>,
}

/// What one connection's task needs.
#[derive(Clone)]
struct Shared {
    reply: Arc<Mutex<Reply>>,
    hold: watch::Receiver<bool>,
    received: mpsc::UnboundedSender<(Parts, Bytes)>,
}

impl Crm {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let reply = Arc::new(Mutex::new(Reply { status: 200, headers: Vec::new(), body: "" }));
        let (hold, held) = watch::channel(false);
        let (sender, received) = mpsc::unbounded_channel();
        let shared = Shared { reply: Arc::clone(&reply), hold: held, received: sender };
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| shared.clone().handle(request));
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    // how a connection ends is the sidecar's business
                    drop(connection.await);
                });
            }
        });
        Ok(Self { port, reply, hold, received, task })
    }

    /// A port at which nothing listens.
    pub async fn absent() -> anyhow::Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(listener.local_addr()?.port())
    }

    pub fn reply_with(&self, reply: Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = reply;
    }

    /// Whether to take requests and leave them without an answer.
    pub fn hold(&self, hold: bool) {
        self.hold.send_replace(hold);
    }

    /// Waits for the next request.
    pub async fn received(&mut self) -> anyhow::Result<(Parts, Bytes)> {
        let received = timeout(DEADLINE, self.received.recv()).await;
        received.context("the CRM received nothing")?.context("the CRM ended")
    }

    /// Whether everything it received was taken out with [`Crm::received`].
    pub fn has_received_nothing_more(&self) -> bool {
        self.received.is_empty()
    }
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    async fn handle(mut self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        // nobody takes it out any more when the test has ended, and then nobody waits for the answer either
        drop(self.received.send((head, body)));
        drop(self.hold.wait_for(|hold| !hold).await);
        let reply = self.reply.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut response = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            response = response.header(name, value);
        }
        let body = Full::new(Bytes::from_static(reply.body.as_bytes()));
        Ok(response.body(body).unwrap_or_default())
    }
}
