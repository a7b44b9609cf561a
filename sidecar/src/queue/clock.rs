//! The time of day, for what is stored and for when it is too old.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The time of day as it was when the process began, and what has passed since. So it goes on evenly when somebody puts the clock, and
/// stands still in a test that says so.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begun_at: SystemTime,
    begun: Instant,
    is_the_systems: bool,
}

// === impl Clock ===

impl Clock {
    pub fn new() -> Self {
        Self { is_the_systems: true, ..Self::at(SystemTime::now()) }
    }

    /// One that shows `now`.
    pub fn at(now: SystemTime) -> Self {
        Self { begun_at: now, begun: Instant::now(), is_the_systems: false }
    }

    /// To the millisecond, which is what is stored.
    pub fn now(&self) -> SystemTime {
        from_millis(millis(self.begun_at + self.begun.elapsed()))
    }

    /// The time of day as others have it, who compare theirs with it: of a machine that slept, or whose clock was put, since the
    /// process began it is another than [`Clock::now`].
    pub fn now_for_others(&self) -> SystemTime {
        if self.is_the_systems { SystemTime::now() } else { self.now() }
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

#[cfg(test)]
impl Clock {
    /// The system's on a machine that slept so long since the process began.
    pub(crate) fn that_slept(time: Duration) -> Self {
        Self { begun_at: SystemTime::now() - time, ..Self::new() }
    }
}
