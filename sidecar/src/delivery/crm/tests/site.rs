//! A client and a CRM, and what they say.

use std::time::SystemTime;

use telegram_webhook_sidecar_config::WebhookConfig;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::super::*;
use crate::{
    ingress::{Reject, dedup::Dedup},
    test_util::{policy, raw_config},
};

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// Far beyond what a test takes; none waits for it but one that fails.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// A client, and what it delivers to.
pub(super) struct Site {
    pub(super) crm: Crm,
    pub(super) tasks: TaskTracker,
    pub(super) metrics: Metrics,
    dedup: Dedup,
    pub(super) webhook: Arc<Webhook>,
    pub(super) listener: TcpListener,
    _state: TempDir,
}

impl Site {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (metrics, tasks) = (Metrics::new(), TaskTracker::new());
        let state = tempfile::tempdir().unwrap();
        Self {
            crm: Crm::new(metrics.clone(), tasks.clone()),
            tasks,
            dedup: Dedup::open(state.path(), metrics.clone(), SystemTime::now()).unwrap(),
            metrics,
            webhook: webhook(listener.local_addr().unwrap().port()),
            listener,
            _state: state,
        }
    }

    pub(super) async fn claim(&self, update: &str) -> Result<Claim, Reject> {
        self.dedup.claim(self.webhook.bot_id, update.as_bytes(), DEADLINE).await
    }

    pub(super) async fn deliver(&self, update: &str) -> Result<Delivered, DeliveryError> {
        self.deliver_to(&self.webhook, update).await
    }

    pub(super) async fn deliver_to(
        &self,
        webhook: &Arc<Webhook>,
        update: &str,
    ) -> Result<Delivered, DeliveryError> {
        let claim = self.claim(update).await.unwrap();
        self.crm.deliver(Arc::clone(webhook), 1, Bytes::from(update.to_owned()), claim).await
    }

    pub(super) async fn accept(&self) -> Socket {
        Socket(within(self.listener.accept()).await.unwrap().0)
    }

    /// Delivers an update over a new connection, which is idle then.
    pub(super) async fn first(&self, update: &str) -> Socket {
        let crm = async {
            let mut socket = self.accept().await;
            socket.request().await;
            socket.say(OK).await;
            socket
        };
        let (socket, delivered) = within(async { futures::join!(crm, self.deliver(update)) }).await;
        delivered.unwrap();
        socket
    }

    /// Lets the runtime see what has happened to any socket until now.
    pub(super) async fn see(&self) {
        let mut client = TcpStream::connect(self.webhook.upstream.address).await.unwrap();
        let mut socket = self.accept().await;
        client.write_u8(0).await.unwrap();
        within(socket.0.read_u8()).await.unwrap();
    }

    pub(super) fn idle(&self, webhook: &Webhook) -> bool {
        self.crm.shared.pool.holds(webhook.upstream.address)
    }
}

/// The CRM's end of a connection.
pub(super) struct Socket(pub(super) TcpStream);

impl Socket {
    /// The next request, whose body is as long as its head says.
    pub(super) async fn request(&mut self) -> String {
        within(async {
            let mut request = String::new();
            loop {
                request.push(char::from(self.0.read_u8().await.unwrap()));
                let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
                let length = head.split_once("content-length: ").unwrap().1.lines().next().unwrap();
                if body.len() == length.parse::<usize>().unwrap() {
                    return request;
                }
            }
        })
        .await
    }

    pub(super) async fn say(&mut self, answer: &str) {
        self.0.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Waits until the other end is closed, which says nothing before.
    pub(super) async fn closed(mut self) {
        let read = within(self.0.read(&mut [0])).await;
        assert_eq!(read.unwrap_or_default(), 0);
    }
}

pub(super) fn webhook(port: u16) -> Arc<Webhook> {
    let mut config: WebhookConfig = raw_config("a");
    config.upstream.port = port;
    Arc::clone(&policy(&[config]).load().webhooks()[0])
}

pub(super) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(DEADLINE, work).await.expect("nothing more happens")
}

pub(super) fn label(result: Result<Delivered, DeliveryError>) -> &'static str {
    result.err().map_or("delivered", |error| error.label())
}
