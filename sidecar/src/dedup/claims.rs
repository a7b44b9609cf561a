//! The updates under way.

use hashbrown::{HashTable, hash_table::Entry};
use tokio::sync::watch;

use super::id::Key;

/// What is under way, and who is to be told when it ends.
#[derive(Default)]
pub(crate) struct Claims {
    table: HashTable<UnderWay>,
}

struct UnderWay {
    key: Key,
    /// Tells by its own end those that wait. There is one once somebody does, which is rare.
    ended: Option<watch::Sender<()>>,
}

// === impl Claims ===

impl Claims {
    /// None if the update wasn't under way, as it is now; otherwise what ends when the first copy does.
    pub(crate) fn begin(&mut self, key: Key) -> Option<watch::Receiver<()>> {
        let is_this = |other: &UnderWay| other.key == key;
        match self.table.entry(key.place(), is_this, |other| other.key.place()) {
            Entry::Vacant(entry) => {
                entry.insert(UnderWay { key, ended: None });
                None
            }
            Entry::Occupied(mut entry) => {
                let ended = entry.get_mut().ended.get_or_insert_with(|| watch::Sender::new(()));
                Some(ended.subscribe())
            }
        }
    }

    /// Wakes whoever waits.
    pub(crate) fn end(&mut self, key: Key) {
        if let Ok(entry) = self.table.find_entry(key.place(), |other| other.key == key) {
            entry.remove();
        }
    }
}
