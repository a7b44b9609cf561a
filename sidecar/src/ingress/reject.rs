//! Every way to refuse a request, and what each means: status, headers, metric label and log level.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use tracing::Level;

use super::Seen;
use crate::delivery::DeliveryError;

/// Seconds until Telegram tries again. Without it the back-off of that chat grows to minutes; beyond 30 an inline query, which
/// lives no longer, would be lost.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const POST: HeaderValue = HeaderValue::from_static("POST");

/// Why a request is refused. The client learns the status alone.
#[derive(Debug, thiserror::Error)]
pub enum Reject {
    #[error("the path is not that of a webhook")]
    UnknownPath,
    #[error("the method is not POST")]
    MethodNotAllowed,
    #[error("there is no token")]
    TokenMissing,
    #[error("there are several tokens")]
    TokenRepeated,
    #[error("the token is wrong")]
    TokenWrong,
    #[error("the body is too large")]
    BodyTooLarge,
    #[error("the body took too long to arrive")]
    BodyTimeout,
    #[error("the body ended early or is malformed")]
    BodyIncomplete,
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

// === impl Reject ===

impl Reject {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TokenMissing | Self::TokenRepeated | Self::TokenWrong => StatusCode::UNAUTHORIZED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyIncomplete => StatusCode::BAD_REQUEST,
            // whatever the CRM said: a 410 passed on would make Telegram drop the webhook
            Self::Delivery(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub fn add_headers(&self, headers: &mut HeaderMap) {
        match self {
            Self::UnknownPath | Self::TokenMissing | Self::TokenRepeated | Self::TokenWrong => {}
            Self::MethodNotAllowed => {
                headers.insert(header::ALLOW, POST);
            }
            // what follows on the connection is the rest of a body we don't want
            Self::BodyTooLarge | Self::BodyTimeout | Self::BodyIncomplete => {
                headers.insert(header::CONNECTION, CLOSE);
            }
            Self::Delivery(_) => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
            }
        }
    }

    /// Name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::UnknownPath => "unknown_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TokenMissing => "token_missing",
            Self::TokenRepeated => "token_repeated",
            Self::TokenWrong => "token_wrong",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyIncomplete => "body_incomplete",
            Self::Delivery(error) => error.label(),
        }
    }

    pub fn level(&self) -> Level {
        match self {
            // any scanner of the internet does these
            Self::UnknownPath | Self::MethodNotAllowed => Level::INFO,
            // these know a path, and the latter a token too
            Self::TokenMissing
            | Self::TokenRepeated
            | Self::TokenWrong
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::BodyIncomplete => Level::WARN,
            Self::Delivery(_) => Level::ERROR,
        }
    }

    /// One line per refusal, without anything that the client sent.
    pub(super) fn log(&self, peer: SocketAddr, seen: &Seen) {
        let (webhook, reject) = (seen.webhook_name(), self.label());
        // the level of an event is part of its code
        match self.level() {
            Level::ERROR => tracing::error!(webhook, %peer, reject, reason = %self, "request refused"),
            Level::WARN => tracing::warn!(webhook, %peer, reject, reason = %self, "request refused"),
            _ => tracing::info!(webhook, %peer, reject, reason = %self, "request refused"),
        }
    }
}
