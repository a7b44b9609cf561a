//! The request path: what a request on the webhook port goes through, stage by stage, until the CRM has its update.
//!
//! Each stage either passes on what the next one needs or refuses with a [`Reject`]. Answers have no body and say nothing beyond
//! their status.

mod authenticate;
mod body;
mod reject;
mod route;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};

pub use self::reject::Reject;
use crate::{
    app::Readiness,
    config::{CurrentPolicy, Policy, Webhook},
    delivery::{Crm, Delivered},
    metrics::Metrics,
    server::{Handler, Peer},
};

/// A year: browsers never come here, but scanners grade the answer.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Handles the requests of the webhook port.
pub struct Ingress {
    pub policy: CurrentPolicy,
    pub crm: Crm,
    pub metrics: Metrics,
    pub readiness: Arc<Readiness>,
}

/// What the stages have found out about a request so far, for the log and the metrics.
#[derive(Default)]
pub struct Seen {
    pub webhook: Option<Arc<Webhook>>,
    /// Id of the slot whose path and token the request carried.
    pub slot: Option<i64>,
}

// === impl Ingress ===

impl Ingress {
    /// Takes one request from its head to its answer.
    async fn answer<B: Body<Data = Bytes>>(&self, peer: &Peer, request: Request<B>) -> Response<Full<Bytes>> {
        let _in_flight = self.metrics.request_started();
        let mut seen = Seen::default();
        // one version of the policy for the whole request
        let policy = self.policy.load_full();
        let result = self.receive(&policy, peer, request, &mut seen).await;
        let mut response = match &result {
            Ok(Delivered { .. }) => {
                self.metrics.request_ended(&seen, "delivered");
                empty(StatusCode::OK)
            }
            Err(reject) => {
                self.metrics.request_ended(&seen, reject.label());
                reject.log(peer.address, &seen);
                let mut response = empty(reject.status());
                reject.add_headers(response.headers_mut());
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
        policy: &Policy,
        peer: &Peer,
        request: Request<B>,
        seen: &mut Seen,
    ) -> Result<Delivered, Reject> {
        let (head, body) = request.into_parts();
        let route = route::find(policy, &head.uri)?;
        let webhook = Arc::clone(&route.webhook);
        seen.webhook = Some(Arc::clone(&webhook));
        route::require_post(&head.method)?;
        seen.slot = Some(authenticate::token(&route, &head.headers)?);
        peer.prove();
        let body = body::read(body, &head.headers, &webhook.limits).await?;
        let content_type = head.headers.get(header::CONTENT_TYPE).cloned();
        let delivered = self.crm.deliver(webhook, content_type, body).await?;
        Ok(delivered)
    }
}

impl Handler for Ingress {
    async fn handle(&self, peer: &Peer, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.answer(peer, request).await
    }
}

// === impl Seen ===

impl Seen {
    /// Name of the webhook, empty while unknown.
    pub fn webhook_name(&self) -> &str {
        self.webhook.as_ref().map_or("", |webhook| &webhook.name)
    }
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    response
}

#[cfg(test)]
mod tests;
