//! The CRM's side: plain HTTP to its port in the same pod, bytes unchanged, over pooled connections.

mod connection;
mod detached;
mod discard;
mod error;
mod pool;

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

pub use self::error::DeliveryError;
use self::{
    connection::{Connection, NotAnswered, Post},
    detached::Detached,
    discard::Discard,
    pool::Pool,
};
use crate::{
    config::{Upstream, Webhook},
    ingress::dedup::Claim,
    metrics::Metrics,
};

/// Longest that a connection waits for the rest of an answer.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Client of the CRM. Clones share its connections.
#[derive(Clone)]
pub struct Crm {
    shared: Arc<Shared>,
}

/// What a delivery needs, wherever it goes on.
struct Shared {
    pool: Arc<Pool>,
    metrics: Metrics,
    tasks: TaskTracker,
}

/// The CRM has taken the update over: made only by its 2xx.
#[derive(Debug)]
pub struct Delivered {
    _proof: (),
}

// === impl Crm ===

impl Crm {
    /// `tasks` holds the deliveries that are under way.
    pub fn new(metrics: Metrics, tasks: TaskTracker) -> Self {
        Self { shared: Arc::new(Shared { pool: Arc::default(), metrics, tasks }) }
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
        let shared = Arc::clone(&self.shared);
        let delivery = async move {
            let started = Instant::now();
            let result = shared.send(&webhook, content_type, body, started).await;
            let took = started.elapsed();
            match &result {
                Ok(_) => {
                    shared.metrics.upstream_delivered(&webhook, took);
                    claim.done(SystemTime::now());
                }
                Err(error) => shared.metrics.upstream_failed(&webhook, error.label(), took),
            }
            result
        };
        Detached::new(delivery, &self.shared.tasks).await
    }
}

// === impl Shared ===

impl Shared {
    async fn send(
        &self,
        webhook: &Webhook,
        content_type: Option<HeaderValue>,
        body: Bytes,
        started: Instant,
    ) -> Result<Delivered, DeliveryError> {
        let Webhook { upstream, limits, .. } = webhook;
        let exchange = self.exchange(upstream.address, post(upstream, content_type, body), started);
        // its timer is set only if the exchange has to wait
        let answer = timeout_at(started + limits.upstream_timeout, exchange).await;
        let status = answer.unwrap_or(Err(DeliveryError::Timeout))?;
        if status.is_success() { Ok(Delivered { _proof: () }) } else { Err(DeliveryError::Status(status)) }
    }

    /// Asks over an idle connection if there is one. If the CRM had closed that before anything was sent, a new one gets the same
    /// request; otherwise no request is ever sent twice.
    async fn exchange(
        &self,
        address: SocketAddr,
        mut request: Post,
        now: Instant,
    ) -> Result<StatusCode, DeliveryError> {
        if let Some(mut connection) = self.pool.take(address, now) {
            match connection.exchange(request).await {
                Ok(response) => return Ok(self.finish(address, connection, response)),
                Err(NotAnswered::Unsent(unsent)) => request = *unsent,
                Err(NotAnswered::Broken) => return Err(DeliveryError::Broken),
            }
        }
        let mut connection = Connection::open(address).await?;
        let response = connection.exchange(request).await.map_err(|_| DeliveryError::Broken)?;
        Ok(self.finish(address, connection, response))
    }

    /// Takes the status from an answer, and sees to it that the connection can be used again; nobody waits for that.
    fn finish(
        &self,
        address: SocketAddr,
        connection: Connection,
        response: Response<Incoming>,
    ) -> StatusCode {
        let status = response.status();
        let mut discard = Discard::new(connection, response.into_body());
        // mostly all of it came with the head
        match Pin::new(&mut discard).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(connection)) => self.pool.put(address, connection),
            Poll::Ready(None) => {}
            Poll::Pending => {
                let pool = Arc::clone(&self.pool);
                self.tasks.spawn(async move {
                    if let Ok(Some(connection)) = timeout(DISCARD_TIMEOUT, discard).await {
                        pool.put(address, connection);
                    }
                });
            }
        }
        status
    }
}

/// A request of its own: nothing of the head passes but what is named here, the token least of all.
fn post(upstream: &Upstream, content_type: Option<HeaderValue>, body: Bytes) -> Post {
    let mut request = Post::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = upstream.target.clone();
    let headers = request.headers_mut();
    headers.insert(header::HOST, upstream.host.clone());
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    request
}

#[cfg(test)]
mod tests;
