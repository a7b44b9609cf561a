//! Unix time that follows tokio's clock, so that a test which pauses the clock moves dates and timers together.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Tells the time: the wall clock at the start plus what tokio's clock has run since.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    unix_at_start: Duration,
}

impl Clock {
    /// A clock that shows the wall time now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            unix_at_start: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// Seconds since 1970.
    pub fn unix(&self) -> f64 {
        (self.unix_at_start + self.started.elapsed()).as_secs_f64()
    }

    /// Whole seconds since 1970, as messages and getWebhookInfo show them.
    pub fn unix_seconds(&self) -> i64 {
        i64::try_from((self.unix_at_start + self.started.elapsed()).as_secs()).unwrap_or(i64::MAX)
    }
}
