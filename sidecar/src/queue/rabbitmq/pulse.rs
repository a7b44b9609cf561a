//! Whether this process has run without a break: one that was stopped, with its machine or by somebody, doesn't know how much later it is,
//! and may go on with what RabbitMQ has given to another sidecar meanwhile, before it reads that its connection is gone.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::connection::HEARTBEAT;
use crate::queue::QueueError;

const INTERVAL: Duration = Duration::from_secs(1);
/// RabbitMQ never waits less for a word of us.
const LONGEST_BREAK: Duration = Duration::from_secs(HEARTBEAT as u64);

/// When it ran last.
#[derive(Debug)]
pub struct Pulse(Mutex<Instant>);

// === impl Pulse ===

impl Pulse {
    pub fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Whether there was no break, as far as can be told now.
    pub fn is_regular(&self) -> bool {
        self.last().elapsed() < LONGEST_BREAK
    }

    /// Runs until there was a break.
    pub async fn keep(&self) -> QueueError {
        self.beat();
        loop {
            sleep(INTERVAL).await;
            if !self.is_regular() {
                let problem = "this sidecar was stopped for longer than RabbitMQ waits for it";
                return QueueError::Unavailable(problem.to_owned());
            }
            self.beat();
        }
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_break_is_noticed_by_whoever_asks_first() {
        let pulse = Pulse::new();
        let kept = timeout(Duration::from_hours(1), pulse.keep()).await;
        assert!(kept.is_err() && pulse.is_regular(), "{kept:?}");
        let mut keep = Box::pin(pulse.keep());
        assert!(futures::poll!(&mut keep).is_pending());
        // nobody ran
        advance(LONGEST_BREAK).await;
        assert!(!pulse.is_regular());
        assert!(matches!(keep.await, QueueError::Unavailable(_)));
    }
}
