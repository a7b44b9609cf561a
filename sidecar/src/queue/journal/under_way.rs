//! Updates that are handed to the log and not durable yet, in the order in which they were. Whoever stores one learns by himself what
//! became of it, sooner or later than others do; an update reaches its lane when all before it have one or were refused.

use std::collections::VecDeque;

use crate::queue::Lane;

#[derive(Default)]
pub(super) struct UnderWay {
    updates: VecDeque<InFlight>,
}

/// What has to be known of an update to put it in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InFlight {
    pub sequence: u64,
    pub lane: Lane,
    pub received_at: u64,
    pub fate: Fate,
}

/// What is known of the fate of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Stored,
    Refused,
}

// === impl UnderWay ===

impl UnderWay {
    /// Its sequence is greater than all before.
    pub fn push(&mut self, sequence: u64, lane: Lane, received_at: u64) {
        self.updates.push_back(InFlight { sequence, lane, received_at, fate: Fate::Open });
    }

    /// Notes what became of an update.
    pub fn conclude(&mut self, sequence: u64, fate: Fate) {
        if let Ok(at) = self.updates.binary_search_by_key(&sequence, |update| update.sequence)
            && let Some(update) = self.updates.get_mut(at)
        {
            update.fate = fate;
        }
    }

    /// The first one, if its fate is known.
    pub fn pop(&mut self) -> Option<InFlight> {
        self.updates.pop_front_if(|update| update.fate != Fate::Open)
    }

    pub fn len(&self) -> usize {
        self.updates.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_leave_in_their_order_whenever_their_fate_is_known() {
        let mut under_way = UnderWay::default();
        for sequence in [1, 2, 5, 6] {
            under_way.push(sequence, Lane::alone(1), 0);
        }
        let left = |under_way: &mut UnderWay, sequence, fate| {
            under_way.conclude(sequence, fate);
            let popped = std::iter::from_fn(|| under_way.pop());
            popped.map(|update| (update.sequence, update.fate)).collect::<Vec<_>>()
        };
        assert_eq!(left(&mut under_way, 5, Fate::Stored), []);
        assert_eq!(left(&mut under_way, 1, Fate::Refused), [(1, Fate::Refused)]);
        assert_eq!(left(&mut under_way, 2, Fate::Stored), [(2, Fate::Stored), (5, Fate::Stored)]);
        assert_eq!(left(&mut under_way, 6, Fate::Stored), [(6, Fate::Stored)]);
        assert_eq!(under_way.len(), 0);
    }
}
