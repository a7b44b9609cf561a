//! How fast the engine opens connections (reference/telegram.md section 3.2): ten at once and then 20 a second while
//! something succeeds, otherwise a single one and at most one new per 2 seconds.

use std::time::Duration;

use tokio::time::Instant;

const RECENT: Duration = Duration::from_secs(10);

/// Decides when the next connection may be opened.
#[derive(Debug)]
pub struct Growth {
    last_success: Option<Instant>,
    active: Bucket,
    pending: Bucket,
}

impl Growth {
    /// No success seen yet.
    pub fn new(now: Instant) -> Self {
        Self {
            last_success: None,
            active: Bucket::new(Duration::from_millis(500), 10, now),
            pending: Bucket::new(Duration::from_secs(2), 1, now),
        }
    }

    /// An update was delivered.
    pub fn succeeded(&mut self, now: Instant) {
        self.last_success = Some(now);
    }

    /// How many connections to have for so many lanes: with a recent success at least one and as many as there are
    /// lanes, otherwise at most one.
    pub fn wanted(&self, lanes: usize, now: Instant) -> usize {
        if self.is_active(now) { lanes.max(1) } else { lanes.min(1) }
    }

    /// Takes the right to open a connection, or says when there is one.
    pub fn open(&mut self, now: Instant) -> Result<(), Instant> {
        if self.is_active(now) { self.active.take(now) } else { self.pending.take(now) }
    }

    fn is_active(&self, now: Instant) -> bool {
        self.last_success.is_some_and(|at| at + RECENT >= now)
    }
}

/// A token bucket whose last token may be borrowed: the next one waits for it.
#[derive(Debug)]
struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    level_at: Instant,
    open_at: Instant,
}

impl Bucket {
    fn new(period: Duration, count: u32, now: Instant) -> Self {
        let capacity = f64::from(count - 1);
        Self {
            capacity,
            per_second: f64::from(count) / period.as_secs_f64(),
            level: capacity,
            level_at: now,
            open_at: now,
        }
    }

    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if now < self.open_at {
            return Err(self.open_at);
        }
        let passed = now.saturating_duration_since(self.level_at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.capacity);
        self.level_at = now;
        if self.level >= 1.0 {
            self.level -= 1.0;
        } else {
            let wait = Duration::from_secs_f64((1.0 - self.level) / self.per_second);
            self.level = 0.0;
            self.level_at = now + wait;
            self.open_at = self.level_at;
        }
        Ok(())
    }
}
