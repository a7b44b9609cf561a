//! A sliding window: how many requests there were in the last so many seconds, in slices of an eighth of the window.
//!
//! The window's beginning moves with the time and so lies within a slice; what is left of that oldest slice counts whole. A limit
//! thereby never lets too many through in any window, and takes a request for at most an eighth of the window longer than it
//! had to.

use std::time::Duration;

use crate::config::Rate;

/// The window's eight slices and the one that the window's beginning lies in.
const KEPT: u32 = 9;
/// An eighth of each second of the window.
const SLICE_PER_SECOND: Duration = Duration::from_millis(125);

/// The requests of one client. Small, as there are many clients: 44 bytes.
///
/// Times are since a moment in the past that is the same for all calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// By the number of the slice modulo [`KEPT`].
    counts: [u32; KEPT as usize],
    /// Number of the newest slice, counted from the beginning of time.
    newest: u32,
    /// Length of the window.
    seconds: u32,
}

// === impl Window ===

impl Window {
    pub(crate) fn new(seconds: u32) -> Self {
        Self { counts: [0; KEPT as usize], newest: 0, seconds }
    }

    /// Counts a request and lets it through, or says how long it takes until one is let through. What is refused doesn't count.
    pub(crate) fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        let requests = self.requests(rate.window_seconds, now);
        if requests < rate.requests {
            self.add();
            return Ok(());
        }
        Err(self.free_at(requests - rate.requests).saturating_sub(now))
    }

    /// Counts a request, whatever there were before, and says how many there are with it.
    pub(crate) fn count(&mut self, seconds: u32, now: Duration) -> u32 {
        let before = self.requests(seconds, now);
        self.add();
        before.saturating_add(1)
    }

    /// How many there were in the window that ends now. One of another length has nothing in common with what was counted.
    fn requests(&mut self, seconds: u32, now: Duration) -> u32 {
        if self.seconds != seconds {
            *self = Self::new(seconds);
        }
        // by whole eighths of a second, of which a slice is a multiple: the quotient is the same, without dividing 128 bits
        let eighths = now.as_secs().saturating_mul(8).saturating_add((now.subsec_millis() / 125).into());
        let slice = eighths / u64::from(self.seconds.max(1));
        // enough for 17 years of the shortest slices
        self.advance(u32::try_from(slice).unwrap_or(u32::MAX));
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Forgets what is too old once `slice` is the newest. Threads may come here in another order than they looked at the clock.
    fn advance(&mut self, slice: u32) {
        if slice.saturating_sub(self.newest) >= KEPT {
            self.counts = [0; KEPT as usize];
        } else {
            for new in self.newest + 1..=slice {
                *self.of(new) = 0;
            }
        }
        self.newest = self.newest.max(slice);
    }

    fn add(&mut self) {
        let newest = self.of(self.newest);
        *newest = newest.saturating_add(1);
    }

    /// When more than `excess` of the requests will have become too old to count.
    fn free_at(&mut self, excess: u32) -> Duration {
        let mut freed = 0_u32;
        let oldest = self.newest.saturating_sub(KEPT - 1);
        for slice in oldest..=self.newest {
            freed = freed.saturating_add(*self.of(slice));
            if freed > excess {
                return self.slice().saturating_mul(slice.saturating_add(KEPT));
            }
        }
        // only where not a single request is allowed
        Duration::MAX
    }

    fn of(&mut self, slice: u32) -> &mut u32 {
        &mut self.counts[(slice % KEPT) as usize]
    }

    fn slice(&self) -> Duration {
        SLICE_PER_SECOND * self.seconds
    }
}

#[cfg(test)]
mod tests;
