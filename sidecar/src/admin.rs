//! The admin port: what the kubelet, a metrics scraper, the operator and the pod's own preStop hook ask. Plain HTTP, no secrets.

pub mod bans;
mod client;
pub mod dead_letters;
pub mod depth;
pub mod drain;
pub mod query;
pub mod queues;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use jiff::Timestamp;
use serde::Serialize;
use telegram_webhook_sidecar_config::DRAINED_PATH;

pub use self::{client::AskError, dead_letters::DeadLetters};
use self::{query::Query, queues::Queues};
use crate::{
    address::key,
    app::Readiness,
    bans::{Bans, NotLifted},
    config::CurrentPolicy,
    ingress::Sources,
    metrics::Metrics,
    server::{Handler, Peer},
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Probes, scrapers and the operator: each has one or two.
const MAX_CONNECTIONS: usize = 64;

/// Handles the requests of the admin port.
pub struct Admin {
    pub policy: CurrentPolicy,
    pub metrics: Metrics,
    pub readiness: Arc<Readiness>,
    pub sources: Arc<Sources>,
    pub bans: Arc<Bans>,
    pub queues: Arc<dyn Queues>,
    /// Of the same queues.
    pub dead_letters: DeadLetters,
}

// === impl Admin ===

impl Admin {
    /// What has to be waited for, then the rest.
    async fn respond(
        &self,
        peer: SocketAddr,
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Response<Full<Bytes>> {
        match (path, method) {
            (depth::PATH, &Method::GET | &Method::HEAD) => json(&depth::entries(&*self.queues).await),
            ("/config", &Method::GET | &Method::HEAD) => self.config().await,
            (drain::PATH, &Method::POST) => self.drain(peer, query),
            (drain::PATH, _) => not_allowed(HeaderValue::from_static("POST")),
            (DRAINED_PATH, &Method::GET) => text(StatusCode::OK, drain::over(&self.readiness).await),
            (DRAINED_PATH, _) => not_allowed(HeaderValue::from_static("GET")),
            (depth::PATH | "/config", _) => not_allowed(HeaderValue::from_static("GET, HEAD")),
            _ => match self.dead_letters.answer(peer, method, path, query).await {
                Some(answer) => answer,
                None => self.answer(peer, method, path),
            },
        }
    }

    fn answer(&self, peer: SocketAddr, method: &Method, path: &str) -> Response<Full<Bytes>> {
        match (path, method) {
            // answering at all is being alive
            ("/livez", &Method::GET | &Method::HEAD) => text(StatusCode::OK, "alive"),
            ("/readyz", &Method::GET | &Method::HEAD) => self.ready(),
            ("/metrics", &Method::GET | &Method::HEAD) => self.metrics(),
            (bans::PATH, &Method::GET | &Method::HEAD) => self.bans(),
            ("/livez" | "/readyz" | "/metrics" | bans::PATH, _) => {
                not_allowed(HeaderValue::from_static("GET, HEAD"))
            }
            _ => match path.strip_prefix(bans::PATH).and_then(|rest| rest.strip_prefix('/')) {
                Some(address) if method == Method::DELETE => self.lift(peer, address),
                Some(_) => not_allowed(HeaderValue::from_static("DELETE")),
                None => text(StatusCode::NOT_FOUND, "not found"),
            },
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match self.readiness.check() {
            Ok(()) => text(StatusCode::OK, "ready"),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        self.bans.refresh();
        match self.metrics.encode() {
            Ok(metrics) => with_body(StatusCode::OK, OPEN_METRICS, metrics.into()),
            Err(error) => {
                tracing::error!(%error, "metrics can't be written");
                text(StatusCode::INTERNAL_SERVER_ERROR, "metrics can't be written")
            }
        }
    }

    async fn config(&self) -> Response<Full<Bytes>> {
        let mut loaded = self.policy.load().loaded();
        for webhook in &mut loaded.webhooks {
            webhook.source_visible = self.sources.seen(&webhook.webhook);
            webhook.delivery = self.queues.state(&webhook.webhook).await.ok();
        }
        json(&loaded)
    }

    fn bans(&self) -> Response<Full<Bytes>> {
        json(&bans::entries(&self.policy.load(), &self.bans))
    }

    /// Only the pod itself says who may come again.
    fn lift(&self, peer: SocketAddr, address: &str) -> Response<Full<Bytes>> {
        if !is_within(peer) {
            return text(StatusCode::FORBIDDEN, "only from the same machine or pod");
        }
        let address = match bans::address(address) {
            Ok(address) => address,
            Err(reason) => return text(StatusCode::BAD_REQUEST, reason),
        };
        let client = key(address);
        match self.bans.lift(&self.policy.load(), address) {
            Ok(()) => text(StatusCode::OK, format!("lifted: {client}")),
            Err(reason @ NotLifted::NotBanned) => text(StatusCode::NOT_FOUND, format!("{client} {reason}")),
            Err(reason @ NotLifted::Permanent { .. }) => {
                text(StatusCode::CONFLICT, format!("{client} {reason}"))
            }
        }
    }

    /// Only the pod itself says when it goes away: draining can't be undone.
    fn drain(&self, peer: SocketAddr, query: Option<&str>) -> Response<Full<Bytes>> {
        if !is_within(peer) {
            return text(StatusCode::FORBIDDEN, "only from the same machine or pod");
        }
        let wait = Query::read(query, &[drain::WAIT_SECONDS]);
        let wait = match wait.and_then(|query| query.get(drain::WAIT_SECONDS, str::parse::<u64>)) {
            Ok(wait) => wait.map(Duration::from_secs),
            Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
        };
        let begun = self.readiness.is_draining();
        self.readiness.start_draining();
        match wait {
            None => self.readiness.end_draining(),
            Some(wait) if !begun => {
                let (readiness, queues) = (Arc::clone(&self.readiness), Arc::clone(&self.queues));
                tokio::spawn(drain::empty(readiness, queues, wait));
            }
            Some(_) => {}
        }
        tracing::info!("draining");
        text(StatusCode::OK, "draining")
    }
}

impl Handler for Admin {
    fn max_connections(&self) -> usize {
        MAX_CONNECTIONS
    }

    async fn handle(&self, peer: &Peer, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let uri = request.uri();
        self.respond(peer.address, request.method(), uri.path(), uri.query()).await
    }
}

/// Anybody in the cluster may look, but not change anything.
fn is_within(peer: SocketAddr) -> bool {
    let within = peer.ip().to_canonical().is_loopback();
    if !within {
        tracing::warn!(%peer, "refused: it may be asked for on the same machine or in the same pod only");
    }
    within
}

fn rfc3339(time: SystemTime) -> String {
    // no clock shows what a timestamp can't be
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX).to_string()
}

fn json(answer: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(answer) {
        Ok(json) => with_body(StatusCode::OK, JSON, json.into()),
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the answer can't be written")
        }
    }
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    with_body(status, TEXT, text.into())
}

fn not_allowed(allow: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

#[cfg(test)]
mod memory;
#[cfg(test)]
mod tests;
