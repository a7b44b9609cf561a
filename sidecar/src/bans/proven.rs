//! The addresses that authenticated requests came from lately. Whoever else has such an address, as behind the same NAT, relay or
//! CDN, must not get it banned for all of them.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quick_cache::unsync::Cache;
use tokio::time::Instant;

use crate::address::AddressKey;

/// Only who has a token gets in here: relays, and what stands in front of us.
const MAX: usize = 4096;
/// Longer than a bot is mostly silent.
const FOR: Duration = Duration::from_hours(1);

/// When the last such request came from each.
pub(super) struct Proven(Mutex<Cache<AddressKey, Instant>>);

// === impl Proven ===

impl Proven {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Cache::new(MAX)))
    }

    pub(super) fn note(&self, client: AddressKey) {
        let now = Instant::now();
        let mut proven = self.proven();
        if let Some(mut last) = proven.get_mut(&client) {
            *last = now;
            return;
        }
        proven.insert(client, now);
    }

    pub(super) fn contains(&self, client: &AddressKey) -> bool {
        self.proven().get(client).is_some_and(|last| last.elapsed() < FOR)
    }

    fn proven(&self) -> MutexGuard<'_, Cache<AddressKey, Instant>> {
        // nothing that holds the lock can panic half-way
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_are_kept_than_there_is_room_for() {
        let proven = Proven::new();
        for number in 0..10_000 {
            proven.note(AddressKey::V4(Ipv4Addr::from_bits(number)));
        }
        assert!(proven.proven().len() <= MAX);
    }
}
