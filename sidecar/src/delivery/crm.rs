//! The CRM's side: plain HTTP to its port in the same pod, bytes unchanged, over pooled connections.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::{config::Webhook, ingress::dedup::Claim, metrics::Metrics};

/// The CRM is in the same pod: it listens or it doesn't.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Below the 5 s after which Node.js, the shortest-lived common server, closes an idle connection: we close first, and so
/// never send an update into a connection that is just going away.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// More idle connections than this are closed.
const POOL_MAX_IDLE: usize = 64;
const MAX_BUFFER: usize = 64 << 10;
/// What we read of an answer's body, which nobody sees, to use its connection again.
const MAX_DISCARDED: usize = 64 << 10;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Client of the CRM.
#[derive(Clone)]
pub struct Crm {
    client: Client<HttpConnector, Full<Bytes>>,
    metrics: Metrics,
    tasks: TaskTracker,
}

/// The CRM has taken the update over: made only by its 2xx.
#[derive(Debug)]
pub struct Delivered {
    _proof: (),
}

/// Why the CRM doesn't have the update for sure.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("the CRM can't be reached")]
    Unreachable,
    #[error("the connection to the CRM broke")]
    Broken,
    #[error("the CRM didn't answer in time")]
    Timeout,
    #[error("the CRM answered {}", .0.as_u16())]
    Status(StatusCode),
    #[error("the delivery was interrupted")]
    Interrupted,
}

// === impl Crm ===

impl Crm {
    /// `tasks` holds the deliveries that are under way.
    pub fn new(metrics: Metrics, tasks: TaskTracker) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_MAX_IDLE)
            .http1_max_buf_size(MAX_BUFFER)
            .build(connector);
        Self { client, metrics, tasks }
    }

    /// Sends one update and waits for the CRM's answer.
    ///
    /// Goes on when the caller stops waiting, as it does when Telegram's connection breaks: the CRM may be handling the update
    /// already, and taking the request away from it would help nobody. So the claim to the update is the delivery's.
    pub async fn deliver(
        &self,
        webhook: Arc<Webhook>,
        content_type: Option<HeaderValue>,
        body: Bytes,
        claim: Claim,
    ) -> Result<Delivered, DeliveryError> {
        let this = self.clone();
        let delivery = async move {
            let started = Instant::now();
            let result = this.send(&webhook, content_type, body).await;
            match &result {
                Ok(_) => {
                    this.metrics.upstream_delivered(&webhook, started.elapsed());
                    claim.done(SystemTime::now());
                }
                Err(error) => this.metrics.upstream_failed(&webhook, error.label(), started.elapsed()),
            }
            result
        };
        self.tasks.spawn(delivery).await.unwrap_or(Err(DeliveryError::Interrupted))
    }

    async fn send(
        &self,
        webhook: &Webhook,
        content_type: Option<HeaderValue>,
        body: Bytes,
    ) -> Result<Delivered, DeliveryError> {
        // a request of its own: nothing of the head passes but what is named here, the token least of all
        let mut request = Request::post(webhook.upstream.clone())
            .body(Full::new(body))
            .map_err(|_| DeliveryError::Unreachable)?;
        if let Some(content_type) = content_type {
            request.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        let answer = timeout(webhook.limits.upstream_timeout, self.client.request(request));
        let response = match answer.await {
            Err(_) => return Err(DeliveryError::Timeout),
            Ok(Err(error)) if error.is_connect() => return Err(DeliveryError::Unreachable),
            Ok(Err(_)) => return Err(DeliveryError::Broken),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if !response.body().is_end_stream() {
            self.tasks.spawn(timeout(DISCARD_TIMEOUT, discard(response.into_body())));
        }
        if status.is_success() { Ok(Delivered { _proof: () }) } else { Err(DeliveryError::Status(status)) }
    }
}

// === impl DeliveryError ===

impl DeliveryError {
    /// Name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable => "crm_unreachable",
            Self::Broken => "crm_broken",
            Self::Timeout => "crm_timeout",
            Self::Status(_) => "crm_status",
            Self::Interrupted => "crm_interrupted",
        }
    }
}

/// Reads an answer to its end, after which its connection is free again; dropping it unread would close the connection.
async fn discard(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MAX_DISCARDED {
            return;
        }
    }
}
