//! A queue that fails: is told once, and asked again after a while that grows.

use std::{mem, time::Duration};

use tokio::time::Instant;

use super::super::backoff::bound;
use crate::queue::QueueError;

/// Until it is asked again after the first failure.
const FIRST: Duration = Duration::from_millis(100);
/// And after many.
const LONGEST: Duration = Duration::from_secs(5);

/// The failures in a row.
#[derive(Default)]
pub(super) struct QueueErrors {
    /// Kind of the last one that was told.
    told: Option<mem::Discriminant<QueueError>>,
    number: u32,
    /// Until when it isn't asked.
    until: Option<Instant>,
}

// === impl QueueErrors ===

impl QueueErrors {
    pub(super) fn add(&mut self, webhook: &str, error: &QueueError, now: Instant) {
        self.tell(webhook, error);
        self.number = self.number.saturating_add(1);
        self.until = Some(now + bound(FIRST, LONGEST, self.number));
    }

    /// Says it, unless it was said of the one before.
    pub(super) fn tell(&mut self, webhook: &str, error: &QueueError) {
        let kind = Some(mem::discriminant(error));
        if mem::replace(&mut self.told, kind) != kind {
            tracing::error!(webhook, %error, "the queue fails");
        }
    }

    /// It gave something out.
    pub(super) fn end(&mut self, webhook: &str) {
        if mem::take(self).told.is_some() {
            tracing::info!(webhook, "the queue gives out updates again");
        }
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

/// Until an update is set aside again after the first time that it couldn't be.
const FIRST_UNSETTLED: Duration = Duration::from_secs(1);
/// And after many.
const LONGEST_UNSETTLED: Duration = Duration::from_mins(1);

/// The updates in a row that the queue couldn't set aside.
#[derive(Default)]
pub(super) struct Unsettled {
    number: u32,
    until: Option<Instant>,
}

// === impl Unsettled ===

impl Unsettled {
    pub(super) fn add(&mut self, failed: bool, now: Instant) {
        if !failed {
            *self = Self::default();
            return;
        }
        self.number = self.number.saturating_add(1);
        self.until = Some(now + bound(FIRST_UNSETTLED, LONGEST_UNSETTLED, self.number));
    }

    /// When one is to be set aside again, if not now.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_until_something_is_given_out() {
        let (mut errors, now) = (QueueErrors::default(), Instant::now());
        let fail = |errors: &mut QueueErrors| {
            errors.add("crm/a", &QueueError::Unavailable(String::new()), now);
            errors.until().unwrap().duration_since(now).as_millis()
        };
        let pauses: Vec<_> = (0..8).map(|_| fail(&mut errors)).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        errors.end("crm/a");
        assert_eq!(errors.until(), None);
        assert_eq!(fail(&mut errors), 100);
    }
}
