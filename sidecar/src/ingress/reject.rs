//! Every way to refuse a request, and what each means: status, headers, metric label and log level.

use http::{HeaderName, HeaderValue, StatusCode, header};
use tracing::Level;

use super::{filter::Rule, rate_limit::Budget, update::Malformed};
use crate::{delivery::DeliveryError, queue::QueueError};

/// Seconds until Telegram tries again. Without it the back-off of that chat grows to minutes; beyond 30 an inline query, which
/// lives no longer, would be lost.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const POST: HeaderValue = HeaderValue::from_static("POST");

/// Why a request is refused. The client learns the status alone.
#[derive(Debug, thiserror::Error)]
pub enum Reject {
    #[error("the address is not one of Telegram's")]
    AddressNotAllowed {
        /// It carries the path and the token of a webhook.
        genuine: bool,
    },
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
    #[error("the signature, or what belongs to it, is missing")]
    SignatureMissing,
    #[error("there are several signature headers")]
    SignatureRepeated,
    #[error("the signature is wrong")]
    SignatureWrong,
    #[error("the signature is right but its time is too far from ours")]
    SignatureStale,
    #[error("the body is too large")]
    BodyTooLarge,
    #[error("the body took too long to arrive")]
    BodyTimeout,
    #[error("the body ended early or is malformed")]
    BodyIncomplete,
    #[error("the client is banned")]
    Banned {
        /// Whether the connection is the client's own, and not one of a proxy.
        close: bool,
    },
    #[error("too many requests of the client {}", budget.described())]
    RateLimited {
        budget: Budget,
        /// Seconds until one is let through.
        retry_after: u64,
    },
    #[error("the update {0}")]
    Malformed(#[from] Malformed),
    #[error("the update is not wanted: {0}")]
    Filtered(Rule),
    #[error("the update was accepted before")]
    Duplicate,
    #[error("another copy of the update is still under way")]
    InProgress,
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

/// What a refusal means to everybody whom it concerns.
pub struct Meaning {
    pub status: StatusCode,
    /// Beyond those that every answer has.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// Name in metrics and logs.
    pub label: &'static str,
    pub level: Level,
    /// The client has not shown that it knows path and token: too many of these, and it is limited and banned.
    pub a_strangers: bool,
}

// === impl Reject ===

impl Reject {
    /// One row for each.
    pub fn meaning(&self) -> Meaning {
        use StatusCode as Code;
        let refused =
            |status, level, label| Meaning { status, header: None, label, level, a_strangers: false };
        // they send what any scanner of the internet sends
        let stranger = |status, label| Meaning { a_strangers: true, ..refused(status, Level::INFO, label) };
        // these know a path
        let guess = |label| Meaning { a_strangers: true, ..refused(Code::UNAUTHORIZED, Level::WARN, label) };
        // these know the token: rather the relay's clock or key is wrong than the client a stranger
        let unsigned = |label| refused(Code::UNAUTHORIZED, Level::WARN, label);
        // what follows on the connection is the rest of a body that we don't want
        let unread = |status, label| refused(status, Level::WARN, label).with(header::CONNECTION, CLOSE);
        // anything but 200 would make Telegram send it again for a day, and hold back what follows in that chat
        let dropped = |level, label| refused(Code::OK, level, label);
        // whatever the CRM said: a 410 passed on would make Telegram drop the webhook
        let later = |level, label| {
            refused(Code::SERVICE_UNAVAILABLE, level, label).with(header::RETRY_AFTER, RETRY_AFTER)
        };
        match self {
            Self::AddressNotAllowed { genuine: false } => stranger(Code::FORBIDDEN, "address_not_allowed"),
            // rather it is we who don't see where it comes from
            Self::AddressNotAllowed { genuine: true } => {
                refused(Code::FORBIDDEN, Level::WARN, "address_not_allowed")
            }
            Self::Banned { close: false } => refused(Code::FORBIDDEN, Level::INFO, "banned"),
            // who comes again is not let in any more
            Self::Banned { close: true } => {
                refused(Code::FORBIDDEN, Level::INFO, "banned").with(header::CONNECTION, CLOSE)
            }
            Self::UnknownPath => stranger(Code::NOT_FOUND, "unknown_path"),
            Self::MethodNotAllowed => {
                stranger(Code::METHOD_NOT_ALLOWED, "method_not_allowed").with(header::ALLOW, POST)
            }
            Self::RateLimited { budget, retry_after } => {
                let (level, label) = match budget {
                    Budget::Unauthenticated => (Level::INFO, "rate_limited_unauthenticated"),
                    // may be Telegram itself
                    Budget::Authenticated => (Level::WARN, "rate_limited_authenticated"),
                };
                refused(Code::TOO_MANY_REQUESTS, level, label)
                    .with(header::RETRY_AFTER, (*retry_after).into())
            }
            Self::TokenMissing => guess("token_missing"),
            Self::TokenRepeated => guess("token_repeated"),
            Self::TokenWrong => guess("token_wrong"),
            Self::BodyTooLarge => unread(Code::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::BodyTimeout => unread(Code::REQUEST_TIMEOUT, "body_timeout"),
            Self::BodyIncomplete => unread(Code::BAD_REQUEST, "body_incomplete"),
            Self::SignatureMissing => unsigned("signature_missing"),
            Self::SignatureRepeated => unsigned("signature_repeated"),
            Self::SignatureWrong => unsigned("signature_wrong"),
            Self::SignatureStale => unsigned("signature_stale"),
            Self::Malformed(_) => dropped(Level::WARN, "malformed"),
            Self::Filtered(rule) => dropped(Level::INFO, rule.label()),
            Self::Duplicate => dropped(Level::INFO, "duplicate"),
            Self::InProgress => later(Level::WARN, "in_progress"),
            Self::Queue(error) => match error {
                QueueError::Full(_) => later(Level::ERROR, "queue_full"),
                QueueError::Unavailable(_) => later(Level::ERROR, "queue_unavailable"),
                QueueError::Broken(_) => later(Level::ERROR, "queue_broken"),
                QueueError::Closed => later(Level::WARN, "queue_closed"),
            },
            Self::Delivery(error) => later(Level::ERROR, error.label()),
        }
    }
}

// === impl Meaning ===

impl Meaning {
    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }
}

#[cfg(test)]
pub(crate) mod every;
