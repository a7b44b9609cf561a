//! The time of day, for what is stored and for when it is too old.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The time of day as it was when the process began, and what has passed since. So it goes on evenly when somebody puts the clock, and
/// stands still in a test that says so.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begun_at: SystemTime,
    begun: Instant,
}

// === impl Clock ===

impl Clock {
    pub fn new() -> Self {
        Self::at(SystemTime::now())
    }

    /// One that shows `now`.
    pub fn at(now: SystemTime) -> Self {
        Self { begun_at: now, begun: Instant::now() }
    }

    /// To the millisecond, which is what is stored.
    pub fn now(&self) -> SystemTime {
        from_millis(millis(self.begun_at + self.begun.elapsed()))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds of Unix time.
pub fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

/// The time of so many milliseconds of Unix time.
pub fn from_millis(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}
