//! Which updates are known, so that a second copy is told from a first.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::queue::{DeadLetterId, MAX_KNOWN, RETENTION};

/// Bytes of a [`Key`].
pub const KEY_LENGTH: usize = 16;

/// Names the bytes of an update: half of their SHA-256. An update that was replayed has a key of its own, because its bytes are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; KEY_LENGTH]);

/// Keys, the newest [`MAX_KNOWN`] of the last [`RETENTION`].
#[derive(Debug, Default)]
pub struct Known {
    keys: HashMap<Key, Entry>,
    /// In the order of their times, as nearly as those came. A key that came again is there twice, and its older place means nothing.
    by_age: VecDeque<(u64, Key)>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Milliseconds of Unix time.
    at: u64,
    settled: bool,
}

// === impl Key ===

impl Key {
    pub fn of(body: &[u8]) -> Self {
        Self::half(Sha256::digest(body).into())
    }

    pub fn of_replayed(id: DeadLetterId) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"replay of ");
        digest.update(id.to_string());
        Self::half(digest.finalize().into())
    }

    fn half(digest: [u8; 2 * KEY_LENGTH]) -> Self {
        let mut half = [0; KEY_LENGTH];
        half.copy_from_slice(digest.split_at(KEY_LENGTH).0);
        Self(half)
    }
}

// === impl Known ===

impl Known {
    /// Notes that an update waits somewhere.
    pub fn stored(&mut self, key: Key, at: u64) {
        if !self.contains(key, at) {
            self.insert(key, Entry { at, settled: false });
        }
    }

    /// Notes that nobody needs an update any more; true if that is news.
    pub fn settled(&mut self, key: Key, at: u64) -> bool {
        let is_news = !self.is_settled(key, at);
        if is_news {
            self.insert(key, Entry { at, settled: true });
        }
        is_news
    }

    pub fn contains(&self, key: Key, now: u64) -> bool {
        self.entry(key, now).is_some()
    }

    pub fn is_settled(&self, key: Key, now: u64) -> bool {
        self.entry(key, now).is_some_and(|entry| entry.settled)
    }

    fn entry(&self, key: Key, now: u64) -> Option<&Entry> {
        self.keys.get(&key).filter(|entry| !is_old(entry.at, now))
    }

    fn insert(&mut self, key: Key, entry: Entry) {
        self.keys.insert(key, entry);
        self.by_age.push_back((entry.at, key));
        while let Some((at, key)) = self.by_age.front().copied() {
            let is_current = self.keys.get(&key).is_some_and(|entry| entry.at == at);
            if is_current && self.keys.len() <= MAX_KNOWN && !is_old(at, entry.at) {
                return;
            }
            self.by_age.pop_front();
            if is_current {
                self.keys.remove(&key);
            }
        }
    }
}

fn is_old(at: u64, now: u64) -> bool {
    u128::from(now.saturating_sub(at)) > RETENTION.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::of(&number.to_be_bytes())
    }

    #[test]
    fn what_is_stored_is_known_and_settled_once() {
        let mut known = Known::default();
        known.stored(key(1), 0);
        assert!(known.contains(key(1), 5) && !known.is_settled(key(1), 5));
        assert!(known.settled(key(1), 5));
        assert!(!known.settled(key(1), 6));
        known.stored(key(1), 7);
        assert!(known.is_settled(key(1), 7), "a second copy doesn't bring it back");
        assert!(!known.contains(key(2), 7));
    }

    #[test]
    fn what_is_old_is_forgotten_and_takes_no_room() {
        let retention = u64::try_from(RETENTION.as_millis()).unwrap();
        let mut known = Known::default();
        known.stored(key(1), 0);
        known.settled(key(1), 10);
        assert!(known.contains(key(1), retention + 10));
        assert!(!known.contains(key(1), retention + 11));
        known.stored(key(2), retention + 11);
        assert_eq!((known.keys.len(), known.by_age.len()), (1, 1));
    }

    #[test]
    fn of_too_many_the_oldest_is_forgotten() {
        let mut known = Known::default();
        for number in 0..=MAX_KNOWN {
            known.settled(key(number), 1);
        }
        assert!(!known.contains(key(0), 1));
        assert!(known.contains(key(1), 1) && known.contains(key(MAX_KNOWN), 1));
        assert_eq!(known.by_age.len(), MAX_KNOWN);
    }

    #[test]
    fn a_replayed_update_has_a_key_of_its_own() {
        let replayed = |major| Key::of_replayed(DeadLetterId { major, minor: 0 });
        assert_eq!(replayed(1), replayed(1));
        assert_ne!(replayed(1), replayed(2));
        assert_ne!(key(1), key(2));
    }
}
