//! The record of every refusal: structured log lines of the target `audit`, with whatever the stages had found out by then and
//! nothing that the client sent.

mod connections;

use tracing::Level;

pub use self::connections::DroppedConnections;
use crate::ingress::{Meaning, Reject, Seen};

/// Writes the record of one refusal.
pub fn refused(reject: &Reject, meaning: &Meaning, seen: &Seen) {
    let (update_id, kind) = seen.update.unzip();
    // the level of an event is part of its code
    macro_rules! record {
        ($level:expr) => {
            tracing::event!(
                target: "audit",
                $level,
                webhook = seen.webhook_name(),
                slot = seen.slot,
                client = %seen.client,
                update_id,
                kind,
                reject = meaning.label,
                status = meaning.status.as_u16(),
                reason = %reject,
                "request refused"
            )
        };
    }
    match meaning.level {
        Level::ERROR => record!(Level::ERROR),
        Level::WARN => record!(Level::WARN),
        _ => record!(Level::INFO),
    }
}
