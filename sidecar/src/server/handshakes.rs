//! How many TLS handshakes strangers get: each costs us more than it costs them.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::address::AddressKey;

const WINDOW: Duration = Duration::from_secs(1);
/// Of one address, or one IPv6 /64.
const MAX_PER_ADDRESS: usize = 50;
/// Of all strangers together: a part of one processor.
const MAX: usize = 200;

/// The handshakes that strangers were let begin within the last second: no more of them than that are ever remembered, whoever tries.
#[derive(Default)]
pub(super) struct Handshakes(Mutex<VecDeque<Handshake>>);

struct Handshake {
    at: Instant,
    /// None where an address may stand for many clients.
    key: Option<AddressKey>,
}

// === impl Handshakes ===

impl Handshakes {
    /// Whether a stranger may begin one now.
    pub(super) fn admit(&self, key: Option<AddressKey>) -> bool {
        let at = Instant::now();
        // nothing that holds the lock can panic half-way
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while begun.front().is_some_and(|oldest| at - oldest.at >= WINDOW) {
            begun.pop_front();
        }
        let of_address = || begun.iter().filter(|handshake| handshake.key == key).count();
        if begun.len() >= MAX || key.is_some() && of_address() >= MAX_PER_ADDRESS {
            return false;
        }
        begun.push_back(Handshake { at, key });
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::address;

    fn key(last: usize) -> AddressKey {
        address::key(format!("203.0.113.{last}").parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_gets_its_number_in_any_second_and_others_are_not_affected() {
        let handshakes = Handshakes::default();
        for _ in 0..MAX_PER_ADDRESS {
            assert!(handshakes.admit(Some(key(1))));
            advance(Duration::from_millis(10)).await;
        }
        assert!(!handshakes.admit(Some(key(1))));
        assert!(handshakes.admit(Some(key(2))));
        advance(Duration::from_millis(499)).await;
        assert!(!handshakes.admit(Some(key(1))));
        advance(Duration::from_millis(1)).await;
        assert!(handshakes.admit(Some(key(1))), "the first was a second ago");
        assert!(!handshakes.admit(Some(key(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn all_strangers_together_get_no_more_than_the_total() {
        let handshakes = Handshakes::default();
        for n in 0..MAX {
            assert!(handshakes.admit(Some(key(n % 100))));
        }
        assert!(!handshakes.admit(Some(key(200))));
        assert!(!handshakes.admit(None));
        advance(WINDOW).await;
        assert!(handshakes.admit(Some(key(200))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_stands_for_many_is_bound_by_the_total_only() {
        let handshakes = Handshakes::default();
        assert_eq!((0..=MAX).filter(|_| handshakes.admit(None)).count(), MAX);
    }
}
