//! How an embedded queue divides what its files may take, and so what the longest update is that it can hold.

use crate::{Backend, Delivery, DeliveryMode, bounds::QUEUE_BYTES};

/// Bytes of an update besides its body and what is said of why it was set aside, and of what a log puts around it.
const AROUND_BODY: u64 = 2048;
/// Smallest segment that a log takes.
const SMALLEST: u64 = 4096;
const LARGEST: u64 = 16 << 20;

/// Room of an embedded queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// For what waits.
    pub queue: LogRoom,
    /// For what was set aside: an eighth is for what nobody took.
    pub dead: LogRoom,
}

/// Room of one of its logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRoom {
    /// Of all its files.
    pub max_bytes: u64,
    /// Of one of them. Nothing that it holds is longer.
    pub segment_bytes: u64,
}

// === impl Room ===

impl Room {
    /// Divides what a queue's files may take.
    pub fn of(max_bytes: u64) -> Self {
        let dead = (max_bytes / 8).max(4 * SMALLEST);
        let queue = max_bytes.saturating_sub(dead);
        Self {
            queue: LogRoom { max_bytes: queue, segment_bytes: segment(queue / 8) },
            dead: LogRoom { max_bytes: dead, segment_bytes: segment(dead / 4) },
        }
    }

    /// Longest body of an update that can be stored.
    pub fn longest_body(self) -> usize {
        let segment = self.queue.segment_bytes.min(self.dead.segment_bytes);
        segment.saturating_sub(AROUND_BODY).try_into().unwrap_or(usize::MAX)
    }

    /// The same of the largest queue that there can be.
    pub fn longest_body_of_any() -> usize {
        Self::of(*QUEUE_BYTES.end()).longest_body()
    }
}

fn segment(bytes: u64) -> u64 {
    (bytes / SMALLEST * SMALLEST).clamp(SMALLEST, LARGEST)
}

// === impl Delivery ===

impl Delivery {
    /// Longest body of an update that can be stored; none where that is no question of room.
    pub fn longest_body(&self) -> Option<usize> {
        match (&self.mode, &self.backend) {
            (DeliveryMode::Queued, Backend::Embedded { max_bytes }) => {
                Some(Room::of(*max_bytes).longest_body())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, bounds::TELEGRAM_BODY_BYTES};

    #[test]
    fn the_smallest_queue_holds_what_telegram_sends_and_the_defaults_fit_each_other() {
        let smallest = Room::of(*QUEUE_BYTES.start()).longest_body();
        assert!(
            smallest >= TELEGRAM_BODY_BYTES && smallest >= Limits::default().max_body_bytes,
            "{smallest}"
        );
        assert!(Delivery::default().longest_body().is_some_and(|longest| longest > smallest));
        assert!(Room::longest_body_of_any() >= smallest);
    }

    #[test]
    fn where_nothing_is_stored_no_body_is_too_long_for_that() {
        let synchronous = Delivery { mode: DeliveryMode::Synchronous, ..Delivery::default() };
        assert_eq!(synchronous.longest_body(), None);
    }
}
