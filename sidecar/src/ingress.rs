//! The request path: what a request on the webhook port goes through, stage by stage, until the CRM has its update.
//!
//! Each stage either passes on what the next one needs or refuses with a [`Reject`]. Answers have no body and say nothing beyond
//! their status, but for a call of the Bot API that the CRM was allowed to answer with.

mod allow_ip;
mod authenticate;
mod body;
pub mod dedup;
pub mod filter;
pub(crate) mod rate_limit;
mod reject;
mod route;
pub mod update;

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::body::{Body, Incoming};

#[cfg(test)]
pub(crate) use self::reject::every::every as every_reject;
pub use self::{
    allow_ip::{Source, Sources},
    authenticate::{TOKEN_HEADER, verify_signature},
    reject::{Meaning, Reject},
};
use self::{dedup::Dedup, filter::Verdict, rate_limit::RateLimits, update::Malformed};
use crate::{
    app::Readiness,
    audit::Refusals,
    bans::Bans,
    config::{CurrentPolicy, DeliveryMode, Policy, Webhook},
    delivery::{Crm, Delivered, Reply},
    metrics::Metrics,
    queue::{self, Appended, Lane, QueueError, Reason},
    queues::Queues,
    server::{
        HSTS, Handler, Peer, Standing, Turned,
        client_ip::{self, Arrival},
    },
};

/// Browsers never come here, but scanners grade the answer; there is no body whose type could be guessed.
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// What Telegram runs as a call of a method, where the CRM may answer with one.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static(HSTS);

/// Telegram opens at most 100 connections for a bot, twice that while a registration changes.
const CONNECTIONS_PER_WEBHOOK: usize = 200;
/// For those who haven't proven yet that they are Telegram.
const OTHER_CONNECTIONS: usize = 112;
/// However few webhooks there are.
const MIN_CONNECTIONS: usize = 512;

/// Handles the requests of the webhook port.
pub struct Ingress {
    pub policy: CurrentPolicy,
    pub dedup: Dedup,
    /// Where updates are stored.
    pub queues: Arc<Queues>,
    /// Who gets those that aren't.
    pub crm: Crm,
    pub metrics: Metrics,
    pub readiness: Arc<Readiness>,
    pub sources: Arc<Sources>,
    pub rate_limits: RateLimits,
    pub bans: Arc<Bans>,
    pub refusals: Refusals,
}

/// What became of an update that was let through.
enum Accepted {
    Stored,
    /// The CRM has it, and may have answered with a call of the Bot API.
    Delivered(Option<Reply>),
}

/// What the stages have found out about a request so far, for the log and the metrics.
pub struct Seen {
    /// Whose request it is, as far as is known.
    pub client: IpAddr,
    pub webhook: Option<Arc<Webhook>>,
    /// Id of the slot whose path and token the request carried.
    pub slot: Option<i64>,
    /// `update_id` and kind of the update.
    pub update: Option<(i64, &'static str)>,
}

// === impl Ingress ===

impl Ingress {
    /// Takes one request from its head to its answer.
    async fn answer<B: Body<Data = Bytes>>(&self, peer: &Peer, request: Request<B>) -> Response<Full<Bytes>> {
        let _in_flight = self.metrics.request_started();
        let mut seen = Seen::from(peer.client);
        let (head, body) = request.into_parts();
        let result = self.receive(peer, &head, body, &mut seen).await;
        let result = result.map_err(|reject| self.refuse_stranger(&self.policy.load(), &seen, reject));
        let mut response = match result {
            Ok(accepted) => {
                self.metrics.request_accepted(&seen, accepted.label());
                // nothing of it is worked out unless somebody wants to know
                tracing::debug!(
                    webhook = seen.webhook_name(),
                    update_id = seen.update.map(|(id, _)| id),
                    kind = seen.update.map(|(_, kind)| kind),
                    outcome = accepted.label(),
                    "update accepted"
                );
                // hyper takes the answer's map for the next request: by and by there is one of the right size, made once
                let mut response = empty(StatusCode::OK, head.headers);
                if let Accepted::Delivered(Some(reply)) = accepted {
                    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
                    *response.body_mut() = Full::new(reply.into_body());
                }
                response
            }
            Err(reject) => {
                let meaning = reject.meaning();
                self.metrics.request_refused(&seen, meaning.label);
                self.refusals.refused(&reject, &meaning, &seen);
                // strangers may have made the request's as large as they could
                let mut response = empty(meaning.status, HeaderMap::new());
                // hyper writes it by itself, but not for a HEAD
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
                response.headers_mut().extend(meaning.header);
                response
            }
        };
        if self.readiness.is_draining() {
            // Telegram opens its next connection to a pod that stays
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The stages, in order.
    async fn receive<B: Body<Data = Bytes>>(
        &self,
        peer: &Peer,
        head: &Parts,
        body: B,
        seen: &mut Seen,
    ) -> Result<Accepted, Reject> {
        let webhook = self.authenticate(&self.policy.load(), peer, head, seen)?;
        let body = body::read(body, &head.headers, &webhook.limits).await?;
        if let Some(signature) = &webhook.signature {
            verify_signature(signature, &head.headers, &body, SystemTime::now())?;
        }
        if !webhook.source_address.ranges.contains(seen.client) {
            self.bans.authenticated(&self.policy.load(), seen.client);
        }
        self.rate_limits.authenticated(seen.client, &webhook)?;
        match &webhook.delivery.mode {
            DeliveryMode::Queued { .. } => self.store(&webhook, body, seen).await,
            DeliveryMode::Synchronous { .. } => self.hand_over(webhook, body, seen).await,
        }
    }

    /// The last stages, where updates are stored.
    async fn store(&self, webhook: &Webhook, body: Bytes, seen: &mut Seen) -> Result<Accepted, Reject> {
        if self.readiness.is_closed() {
            // another pod stores it
            return Err(QueueError::Closed.into());
        }
        let received_at = self.queues.clock().now();
        let update = match self.judge(webhook, &body, seen) {
            Ok(update) => {
                let (update_id, lane) = (Some(update.update_id), Lane::of(&update));
                let expires_at = queue::life(update.kind).map(|life| received_at + life);
                queue::Update { update_id, lane, received_at, expires_at, body: body::detached(body) }
            }
            Err(Reject::Malformed(malformed)) => {
                self.set_aside(webhook, body, malformed).await?;
                return Err(malformed.into());
            }
            Err(reject) => return Err(reject),
        };
        match self.queues.append(webhook, update).await? {
            Appended::Stored => Ok(Accepted::Stored),
            Appended::Duplicate => Err(Reject::Duplicate),
        }
    }

    /// Keeps what we can't read: perhaps somebody can.
    async fn set_aside(&self, webhook: &Webhook, body: Bytes, malformed: Malformed) -> Result<(), Reject> {
        let received_at = self.queues.clock().now();
        let update =
            queue::Update { update_id: None, lane: Lane::alone(0), received_at, expires_at: None, body };
        let reason = Reason::Malformed(malformed.to_string());
        Ok(self.queues.bury(webhook, update, reason).await?)
    }

    /// The last stages, where nothing is stored.
    async fn hand_over(
        &self,
        webhook: Arc<Webhook>,
        body: Bytes,
        seen: &mut Seen,
    ) -> Result<Accepted, Reject> {
        let update_id = self.judge(&webhook, &body, seen)?.update_id;
        let claim = self.dedup.claim(webhook.bot_id, &body, webhook.limits.upstream_timeout).await?;
        let Delivered { reply } = self.crm.deliver(webhook, update_id, body, claim).await?;
        Ok(Accepted::Delivered(reply))
    }

    /// The stages that need the head alone, all of them by one version of the policy.
    fn authenticate(
        &self,
        policy: &Policy,
        peer: &Peer,
        head: &Parts,
        seen: &mut Seen,
    ) -> Result<Arc<Webhook>, Reject> {
        seen.client = client_ip::of_request(&policy.addresses().client, peer, &head.headers);
        self.refuse_banned(policy, peer, seen)?;
        allow_ip::port(&self.sources, policy, head, seen)?;
        let route = route::find(policy, &head.uri)?;
        let webhook = route.webhook;
        seen.webhook = Some(Arc::clone(webhook));
        allow_ip::webhook(&self.sources, &route, head, seen)?;
        route::require_post(&head.method)?;
        let token = authenticate::token(&route, &head.headers);
        seen.slot = Some(token.inspect_err(|_| {
            self.metrics.token_mismatched(&webhook.name, policy.listed(seen.client));
        })?);
        self.sources.note(webhook, seen.client);
        peer.prove();
        Ok(Arc::clone(webhook))
    }

    /// Turns away whose ban began, or was learnt of, after its connection was let in.
    fn refuse_banned(&self, policy: &Policy, peer: &Peer, seen: &Seen) -> Result<(), Reject> {
        if self.bans.contains(policy, seen.client) {
            // a proxy's connection carries the requests of others too
            return Err(Reject::Banned { close: seen.client == peer.client });
        }
        Ok(())
    }

    /// Counts a request that failed to authenticate against its client; the answer is the reason, or that there were too many.
    fn refuse_stranger(&self, policy: &Policy, seen: &Seen, reject: Reject) -> Reject {
        let client = seen.client;
        // anybody can have Telegram send what fails, and when it is our token that is wrong, it has to show
        if !reject.meaning().a_strangers || policy.listed(client) {
            return reject;
        }
        self.bans.failed(policy, client);
        let taken = self.rate_limits.unauthenticated(client, policy.stranger_rules().rate);
        taken.err().unwrap_or(reject)
    }

    /// Reads the update's id, and refuses the update where the CRM doesn't want it.
    fn judge<'b>(
        &self,
        webhook: &Webhook,
        body: &'b [u8],
        seen: &mut Seen,
    ) -> Result<update::Update<'b>, Reject> {
        let update = update::parse(body)?;
        seen.update = Some((update.update_id, update.kind.label()));
        self.metrics.update_received(webhook, update.kind);
        match webhook.filter.judge(&update, body) {
            Verdict::Forward => Ok(update),
            Verdict::Drop(rule) => Err(Reject::Filtered(rule)),
        }
    }
}

impl Handler for Ingress {
    fn arrival(&self, socket: IpAddr) -> Arrival {
        client_ip::arrival(&self.policy.load().addresses().client, socket)
    }

    fn admits(&self, client: IpAddr) -> Result<Standing, Turned> {
        let policy = self.policy.load();
        if self.bans.contains(&policy, client) {
            return Err(Turned::Banned);
        }
        if policy.addresses().closes(client) {
            return Err(Turned::Unlisted);
        }
        Ok(if policy.listed(client) { Standing::Listed } else { Standing::Unlisted })
    }

    fn max_connections(&self) -> usize {
        let telegrams = CONNECTIONS_PER_WEBHOOK * self.policy.load().webhooks().len();
        MIN_CONNECTIONS.max(telegrams + OTHER_CONNECTIONS)
    }

    /// The future of the answer itself: one around it would be copied with it for every request.
    fn handle(
        &self,
        peer: &Peer,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send {
        self.answer(peer, request)
    }
}

// === impl Accepted ===

impl Accepted {
    /// Name in metrics and logs.
    fn label(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Delivered(_) => "delivered",
        }
    }
}

// === impl Seen ===

impl Seen {
    /// Nothing but where it comes from.
    pub fn from(client: IpAddr) -> Self {
        Self { client, webhook: None, slot: None, update: None }
    }

    /// Name of the webhook, empty while unknown.
    pub fn webhook_name(&self) -> &str {
        self.webhook.as_ref().map_or("", |webhook| &webhook.name)
    }
}

/// An answer whose headers go into a map that is no longer needed.
fn empty(status: StatusCode, mut headers: HeaderMap) -> Response<Full<Bytes>> {
    headers.clear();
    headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests;
