//! What comes by the thousand has one line a second at most for each of its names, which says how many there were since the last. The end of a burst is
//! told with the next of its name; the metrics have it at once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// What has not been said yet.
#[derive(Default)]
pub(super) struct Tallies(Mutex<BTreeMap<&'static str, Tally>>);

#[derive(Default)]
struct Tally {
    /// Counted since the last line.
    count: u64,
    said: Option<Instant>,
}

// === impl Tallies ===

impl Tallies {
    /// Counts one. How many there are to be spoken of now, if it is time.
    pub(super) fn count(&self, name: &'static str) -> Option<u64> {
        let now = Instant::now();
        // nothing that holds the lock can panic half-way
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(name).or_default();
        tally.count += 1;
        if tally.said.is_some_and(|said| now.duration_since(said) < PERIOD) {
            return None;
        }
        tally.said = Some(now);
        Some(std::mem::take(&mut tally.count))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_said_at_once_and_the_rest_once_a_second() {
        let tallies = Tallies::default();
        assert_eq!(["a", "a", "b", "a"].map(|name| tallies.count(name)), [Some(1), None, Some(1), None]);
        advance(PERIOD).await;
        assert_eq!(["a", "a", "b"].map(|name| tallies.count(name)), [Some(3), None, Some(1)]);
    }
}
