//! The record of requests that were refused and updates that were dropped. Strangers can have as many refused as they like, so only
//! some of theirs have a line each.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use http::StatusCode;
use tokio::time::Instant;
use tracing::Level;

use super::tallies::{PERIOD, Tallies};
use crate::ingress::{Meaning, Reject, Seen, rate_limit::Budget};

/// Lines about single requests of strangers in a period.
const MAX_STRANGERS: u32 = 50;

/// Those refused.
#[derive(Default)]
pub struct Refusals {
    strangers: Mutex<Strangers>,
    /// Those of strangers beyond that.
    more: Tallies,
}

/// The lines of the present period.
#[derive(Default)]
struct Strangers {
    began: Option<Instant>,
    lines: u32,
}

/// An event of the level that is known only now: that of an event is part of its code.
macro_rules! event {
    ($level:expr, $($fields:tt)*) => {
        match $level {
            Level::ERROR => tracing::event!(target: "audit", Level::ERROR, $($fields)*),
            Level::WARN => tracing::event!(target: "audit", Level::WARN, $($fields)*),
            _ => tracing::event!(target: "audit", Level::INFO, $($fields)*),
        }
    };
}

// === impl Refusals ===

impl Refusals {
    /// Writes the record of one refusal, or counts it.
    pub fn refused(&self, reject: &Reject, meaning: &Meaning, seen: &Seen) {
        if is_strangers(reject, meaning) && !self.has_line() {
            self.counted(meaning, seen.client);
        } else {
            record(reject, meaning, seen);
        }
    }

    /// Whether one more request of a stranger gets a line of its own.
    fn has_line(&self) -> bool {
        let now = Instant::now();
        // nothing that holds the lock can panic half-way
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.began.is_none_or(|began| now.duration_since(began) >= PERIOD) {
            *strangers = Strangers { began: Some(now), lines: 0 };
        }
        let has_line = strangers.lines < MAX_STRANGERS;
        strangers.lines += u32::from(has_line);
        has_line
    }

    fn counted(&self, meaning: &Meaning, client: IpAddr) {
        if let Some(count) = self.more.count(meaning.label) {
            event!(meaning.level, reject = meaning.label, count, last_client = %client, "more requests refused");
        }
    }
}

/// Whether it can be had without a token, as often as one likes.
fn is_strangers(reject: &Reject, meaning: &Meaning) -> bool {
    let limited =
        matches!(reject, Reject::Banned { .. } | Reject::RateLimited { budget: Budget::Unauthenticated, .. });
    meaning.a_strangers || limited
}

fn record(reject: &Reject, meaning: &Meaning, seen: &Seen) {
    let (update_id, kind) = seen.update.unzip();
    // Telegram takes it for delivered
    let message = if meaning.status == StatusCode::OK { "update dropped" } else { "request refused" };
    event!(
        meaning.level,
        message,
        webhook = seen.webhook_name(),
        slot = seen.slot,
        client = %seen.client,
        update_id,
        kind,
        reject = meaning.label,
        status = meaning.status.as_u16(),
        reason = %reject,
    );
}

#[cfg(test)]
mod tests;
