//! The CRM's side: plain HTTP to its port in the same pod, bytes unchanged, over pooled connections.

mod connection;
mod detached;
mod discard;
mod error;
mod pool;
mod request;
mod whole;

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, header};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

pub use self::error::DeliveryError;
use self::{
    connection::{Connection, NotAnswered, Post},
    detached::Detached,
    discard::Discard,
    pool::Pool,
    request::{Parcel, post},
};
use super::{
    backoff::RetryAfter,
    reply::{self, Reply, Withheld},
};
use crate::{
    config::{DeliveryMode, ReplyMethods, Webhook},
    ingress::dedup::Claim,
    metrics::Metrics,
    queue::{Clock, Update},
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
    clock: Clock,
}

/// The CRM has taken the update over: its answer was a 2xx.
#[derive(Debug)]
pub struct Delivered {
    /// What it said, where that may go on to Telegram.
    pub reply: Option<Reply>,
}

// === impl Crm ===

impl Crm {
    /// `tasks` holds the deliveries that are under way.
    pub fn new(metrics: Metrics, tasks: TaskTracker) -> Self {
        Self { shared: Arc::new(Shared { pool: Arc::default(), metrics, tasks, clock: Clock::new() }) }
    }

    /// Sends one update that isn't stored anywhere, and waits for the CRM's answer.
    ///
    /// Goes on when the caller stops waiting, as it does when Telegram's connection breaks: the CRM may be handling the update
    /// already, and taking the request away from it would help nobody. So the claim to the update is the delivery's.
    pub async fn deliver(
        &self,
        webhook: Arc<Webhook>,
        update_id: i64,
        body: Bytes,
        claim: Claim,
    ) -> Result<Delivered, DeliveryError> {
        let shared = Arc::clone(&self.shared);
        let delivery = async move {
            let parcel = Parcel { update_id: Some(update_id), attempt: 1, body };
            let result = shared.send(&webhook, parcel).await;
            if result.is_ok() {
                claim.done(shared.clock.now());
            }
            result
        };
        Detached::new(delivery, &self.shared.tasks).await
    }

    /// Tries once to hand over an update that the caller holds. Ends when the caller stops waiting.
    pub async fn attempt(
        &self,
        webhook: &Webhook,
        update: &Update,
        attempt: u32,
    ) -> Result<Delivered, DeliveryError> {
        let parcel = Parcel { update_id: update.update_id, attempt, body: update.body.clone() };
        self.shared.send(webhook, parcel).await
    }
}

// === impl Shared ===

impl Shared {
    async fn send(&self, webhook: &Webhook, parcel: Parcel) -> Result<Delivered, DeliveryError> {
        let started = Instant::now();
        let result = self.ask(webhook, parcel, started).await;
        let took = started.elapsed();
        match &result {
            Ok(_) => self.metrics.upstream_delivered(webhook, took),
            Err(error) => self.metrics.upstream_failed(webhook, error.label(), took),
        }
        result
    }

    async fn ask(
        &self,
        webhook: &Webhook,
        parcel: Parcel,
        started: Instant,
    ) -> Result<Delivered, DeliveryError> {
        let Webhook { upstream, limits, delivery, .. } = webhook;
        let deadline = started + limits.upstream_timeout;
        let exchange =
            self.exchange(upstream.address, post(webhook, parcel, self.clock.now_for_others()), started);
        // its timer is set only if the exchange has to wait
        let answer = timeout_at(deadline, exchange).await;
        let (mut connection, response) = answer.unwrap_or(Err(DeliveryError::Timeout))?;
        let (head, mut body) = response.into_parts();
        let mut reply = None;
        if let (DeliveryMode::Synchronous { reply_methods }, true) =
            (&delivery.mode, head.status.is_success())
            && !body.is_end_stream()
        {
            let said = match reply::judge_head(&head.headers, reply_methods) {
                // apart, as others' deliveries would be larger by it
                Ok(()) => Box::pin(read_reply(&mut connection, &mut body, reply_methods, deadline)).await,
                Err(withheld) => Err(withheld),
            };
            reply = said.map_err(|withheld| self.metrics.reply_withheld(webhook, withheld)).ok();
        }
        self.finish(upstream.address, connection, body);
        if head.status.is_success() {
            return Ok(Delivered { reply });
        }
        let retry_after = head.headers.get(header::RETRY_AFTER).and_then(RetryAfter::parse);
        Err(DeliveryError::Status { status: head.status, retry_after })
    }

    /// Asks over an idle connection if there is one. If the CRM had closed that before anything was sent, a new one gets the same
    /// request; otherwise no request is ever sent twice.
    async fn exchange(
        &self,
        address: SocketAddr,
        mut request: Post,
        now: Instant,
    ) -> Result<(Connection, Response<Incoming>), DeliveryError> {
        if let Some(mut connection) = self.pool.take(address, now) {
            match connection.exchange(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(NotAnswered::Unsent(unsent)) => request = *unsent,
                Err(NotAnswered::Broken) => return Err(DeliveryError::Broken),
            }
        }
        let mut connection = Connection::open(address).await?;
        let response = connection.exchange(request).await.map_err(|_| DeliveryError::Broken)?;
        Ok((connection, response))
    }

    /// Sees to it that the connection can be used again; nobody waits for that.
    fn finish(&self, address: SocketAddr, connection: Connection, body: Incoming) {
        let mut discard = Discard::new(connection, body);
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
    }
}

/// What the CRM said, if it may be said to Telegram. One that takes too long has taken the update all the same.
async fn read_reply(
    connection: &mut Connection,
    body: &mut Incoming,
    methods: &ReplyMethods,
    deadline: Instant,
) -> Result<Reply, Withheld> {
    let whole = timeout_at(deadline, whole::read(connection, body, reply::MAX_LENGTH)).await;
    Reply::check(whole.unwrap_or(Err(Withheld::Incomplete))?, methods)
}

#[cfg(test)]
mod tests;
