//! The dead letters in memory: what is asked of them in a selection.

use std::{collections::BTreeMap, ops::Bound, time::SystemTime};

use crate::queue::{DeadLetterId, Selection, from_millis};

/// By their sequence in the log of dead letters.
#[derive(Default)]
pub(super) struct Letters {
    letters: BTreeMap<u64, Listed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub at: u64,
    pub chat: Option<i64>,
}

// === impl Letters ===

impl Letters {
    pub fn put(&mut self, sequence: u64, listed: Listed) {
        self.letters.insert(sequence, listed);
    }

    /// Takes a letter off the list: it is in somebody's hands who puts it back or removes it from the log.
    pub fn take(&mut self, sequence: u64) -> Option<Listed> {
        self.letters.remove(&sequence)
    }

    /// Takes all off the list that were set aside before a time.
    pub fn take_before(&mut self, time: SystemTime) -> Vec<(u64, Listed)> {
        self.letters.extract_if(.., |_, listed| from_millis(listed.at) < time).collect()
    }

    /// Sequences of those selected, oldest first.
    pub fn select(&self, selection: &Selection, after: Option<DeadLetterId>, limit: usize) -> Vec<u64> {
        let after = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.major));
        let letters = self.letters.range((after, Bound::Unbounded));
        let selected = letters.filter(|(_, listed)| selection.takes(listed.chat, from_millis(listed.at)));
        selected.map(|(sequence, _)| *sequence).take(limit).collect()
    }

    pub fn contains(&self, sequence: u64) -> bool {
        self.letters.contains_key(&sequence)
    }

    pub fn len(&self) -> usize {
        self.letters.len()
    }
}
