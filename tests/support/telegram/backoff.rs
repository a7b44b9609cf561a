//! When an update that failed is tried again (reference/telegram.md section 3.6).

use super::queue::random_between;

const MAX_RETRY_AFTER: i64 = 3600;
/// Delays stop growing at a random number of seconds between this and twice this.
const MAX_DELAY: i64 = 60;

/// The retry state of one update.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    delay: i64,
    failures: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { delay: 1, failures: 0 }
    }
}

impl Backoff {
    /// Seconds until the next try after another failure. The first is tried again at once; a `Retry-After` counts as a
    /// failure but doesn't make the delay grow.
    pub fn next_delay(&mut self, retry_after: i64) -> i64 {
        let retry_after = retry_after.clamp(0, MAX_RETRY_AFTER);
        let plain = retry_after == 0 && self.failures > 0;
        self.failures += 1;
        if plain {
            self.delay = (self.delay * 2).min(random_between(MAX_DELAY, MAX_DELAY * 2));
            self.delay
        } else {
            retry_after
        }
    }
}
