//! The record of connections that were dropped. They come by the thousand, so each way to be dropped has one line a second at most,
//! which says how many there were since the last.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const PERIOD: Duration = Duration::from_secs(1);

/// What has not been said yet.
#[derive(Default)]
pub struct DroppedConnections(Mutex<BTreeMap<&'static str, Tally>>);

#[derive(Default)]
struct Tally {
    /// Dropped since the last line.
    count: u64,
    said: Option<Instant>,
}

// === impl DroppedConnections ===

impl DroppedConnections {
    /// Counts one, and says so if it is time.
    pub fn dropped(&self, end: &'static str, client: IpAddr) {
        if let Some(count) = self.count(end) {
            tracing::info!(target: "audit", end, count, last_client = %client, "connections dropped");
        }
    }

    /// How many there are to be spoken of now.
    fn count(&self, end: &'static str) -> Option<u64> {
        let now = Instant::now();
        // nothing that holds the lock can panic half-way
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(end).or_default();
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
        let dropped = DroppedConnections::default();
        assert_eq!(["a", "a", "b", "a"].map(|end| dropped.count(end)), [Some(1), None, Some(1), None]);
        advance(PERIOD).await;
        assert_eq!(["a", "a", "b"].map(|end| dropped.count(end)), [Some(3), None, Some(1)]);
    }
}
