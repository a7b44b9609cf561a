//! The admin port: what the kubelet, a metrics scraper, the operator and the pod's own preStop hook ask. Plain HTTP, no secrets.

pub mod drain;

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::{
    app::Readiness,
    config::CurrentPolicy,
    metrics::Metrics,
    server::{Handler, Peer},
};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Handles the requests of the admin port.
pub struct Admin {
    pub policy: CurrentPolicy,
    pub metrics: Metrics,
    pub readiness: Arc<Readiness>,
}

// === impl Admin ===

impl Admin {
    fn answer(&self, peer: SocketAddr, method: &Method, path: &str) -> Response<Full<Bytes>> {
        match (path, method) {
            // answering at all is being alive
            ("/livez", &Method::GET | &Method::HEAD) => text(StatusCode::OK, "alive"),
            ("/readyz", &Method::GET | &Method::HEAD) => self.ready(),
            ("/metrics", &Method::GET | &Method::HEAD) => self.metrics(),
            ("/config", &Method::GET | &Method::HEAD) => self.config(),
            ("/drain", &Method::POST) => self.drain(peer),
            ("/livez" | "/readyz" | "/metrics" | "/config", _) => {
                not_allowed(HeaderValue::from_static("GET, HEAD"))
            }
            ("/drain", _) => not_allowed(HeaderValue::from_static("POST")),
            _ => text(StatusCode::NOT_FOUND, "not found"),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match self.readiness.check() {
            Ok(()) => text(StatusCode::OK, "ready"),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
        }
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        match self.metrics.encode() {
            Ok(metrics) => with_body(StatusCode::OK, OPEN_METRICS, metrics.into()),
            Err(error) => {
                tracing::error!(%error, "metrics can't be written");
                text(StatusCode::INTERNAL_SERVER_ERROR, "metrics can't be written")
            }
        }
    }

    fn config(&self) -> Response<Full<Bytes>> {
        match serde_json::to_vec(&self.policy.load().loaded()) {
            Ok(loaded) => with_body(StatusCode::OK, JSON, loaded.into()),
            Err(error) => {
                tracing::error!(%error, "the configuration's digests can't be written");
                text(StatusCode::INTERNAL_SERVER_ERROR, "configuration can't be written")
            }
        }
    }

    /// Only the pod itself says when it goes away: draining can't be undone.
    fn drain(&self, peer: SocketAddr) -> Response<Full<Bytes>> {
        if !peer.ip().to_canonical().is_loopback() {
            tracing::warn!(%peer, "drain refused: it may be asked for in the pod only");
            return text(StatusCode::FORBIDDEN, "only from within the pod");
        }
        self.readiness.start_draining();
        tracing::info!("draining");
        text(StatusCode::OK, "draining")
    }
}

impl Handler for Admin {
    async fn handle(&self, peer: &Peer, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.answer(peer.address, request.method(), request.uri().path())
    }
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    with_body(status, TEXT, Bytes::from_static(text.as_bytes()))
}

fn not_allowed(allow: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

#[cfg(test)]
mod tests;
