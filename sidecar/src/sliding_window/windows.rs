//! The windows of many clients in bounded memory. When there are too many clients, those give way that came once: who keeps
//! coming is kept.

use std::{
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quick_cache::{DefaultHashBuilder, UnitWeighter, unsync};
use tokio::time::Instant;

use super::window::Window;
use crate::config::Rate;

/// A window per key. One lock is enough: it is held for a fraction of a microsecond, by up to four threads.
pub(crate) struct Windows<K> {
    /// What the windows' times are counted from.
    origin: Instant,
    cache: Mutex<Cache<K>>,
}

/// Its hasher is seeded at random, as strangers choose the keys.
type Cache<K> = unsync::Cache<K, Window>;

// === impl Windows ===

impl<K: Eq + Hash + Clone> Windows<K> {
    pub(crate) fn new(capacity: usize) -> Self {
        // no entries are expected: so none that were dropped are remembered, which would take as much room as the others
        let mut cache = Cache::with(
            0,
            capacity as u64,
            UnitWeighter,
            DefaultHashBuilder::default(),
            unsync::DefaultLifecycle::default(),
        );
        // costs address space alone until it is used, and spares the second copy while growing
        cache.reserve(capacity);
        Self { origin: Instant::now(), cache: Mutex::new(cache) }
    }

    /// Lets a request of this client through, or says how long it takes until one is let through.
    pub(crate) fn take(&self, key: K, rate: Rate) -> Result<(), Duration> {
        self.update(key, rate.window_seconds, |window, now| window.take(rate, now))
    }

    /// Counts a request of this client and says how many there are within that many seconds.
    pub(crate) fn count(&self, key: K, seconds: u32) -> u32 {
        self.update(key, seconds, |window, now| window.count(seconds, now))
    }

    /// Forgets what was counted for a client.
    pub(crate) fn forget(&self, key: &K) {
        self.cache().remove(key);
    }

    fn update<T>(&self, key: K, seconds: u32, change: impl FnOnce(&mut Window, Duration) -> T) -> T {
        let now = self.origin.elapsed();
        let mut cache = self.cache();
        if let Some(mut window) = cache.get_mut(&key) {
            return change(&mut window, now);
        }
        let mut window = Window::new(seconds);
        let changed = change(&mut window, now);
        cache.insert(key, window);
        changed
    }

    fn cache(&self) -> MutexGuard<'_, Cache<K>> {
        // nothing that holds the lock can panic half-way
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of all that is in use.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.cache().memory_used().total()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const RATE: Rate = Rate { requests: 2, window_seconds: 1 };

    #[tokio::test(start_paused = true)]
    async fn clients_do_not_share_a_budget_and_wait_by_the_clock() {
        let windows = Windows::new(10);
        for key in [1, 2] {
            assert_eq!([(); 2].map(|()| windows.take(key, RATE)), [Ok(()); 2]);
            assert_eq!(windows.take(key, RATE), Err(Duration::from_millis(1125)));
        }
        advance(Duration::from_millis(1124)).await;
        assert_eq!(windows.take(1, RATE), Err(Duration::from_millis(1)));
        advance(Duration::from_millis(1)).await;
        assert_eq!(windows.take(1, RATE), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_forgotten_starts_anew() {
        let windows = Windows::new(10);
        assert_eq!([(); 3].map(|()| windows.count(1, 60)), [1, 2, 3]);
        windows.forget(&1);
        assert_eq!(windows.count(1, 60), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_clients_those_that_came_once_give_way() {
        let windows = Windows::new(1000);
        for key in 0..100_000_u32 {
            assert_eq!(windows.take(key + 1, RATE), Ok(()));
            if key % 100 == 0 {
                // lets two through in all of it
                assert_eq!(windows.take(0, RATE).is_ok(), key < 200, "{key}");
            }
        }
        assert_eq!(windows.cache().len(), 1000);
    }
}
