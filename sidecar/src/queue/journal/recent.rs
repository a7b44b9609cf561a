//! Bodies that were stored a moment ago: where the CRM keeps up, nothing is read from disk.

use std::collections::VecDeque;

use bytes::Bytes;

use super::record::Head;

/// Bytes of bodies; the oldest go first. The kernel has them still.
const MAX_BYTES: usize = 4 << 20;

/// What is given out of an update.
pub(super) type Kept = (Head, Bytes);

/// What was stored last, in the order of sequences.
#[derive(Default)]
pub(super) struct Recent {
    updates: VecDeque<(u64, Option<Kept>)>,
    bytes: usize,
}

// === impl Recent ===

impl Recent {
    /// Keeps an update, whose sequence is greater than all before.
    pub fn put(&mut self, sequence: u64, head: Head, body: Bytes) {
        self.bytes += body.len();
        self.updates.push_back((sequence, Some((head, body))));
        while self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.updates.pop_front() else { break };
            self.forget(oldest);
        }
    }

    /// Hands an update over that is kept here.
    pub fn take(&mut self, sequence: u64) -> Option<Kept> {
        let at = self.updates.binary_search_by_key(&sequence, |(sequence, _)| *sequence).ok()?;
        let taken = self.updates.get_mut(at)?.1.take();
        if let Some((_, body)) = &taken {
            self.bytes -= body.len();
        }
        while let Some((_, None)) = self.updates.front() {
            self.updates.pop_front();
        }
        taken
    }

    fn forget(&mut self, update: Option<Kept>) {
        self.bytes -= update.map_or(0, |(_, body)| body.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dedup::Key, queue::Lane};

    fn recent(bodies: &[usize]) -> Recent {
        let head = Head {
            update_id: None,
            lane: Lane::alone(1),
            received_at: 0,
            expires_at: None,
            key: Key([[0; 8]; 2]),
            replayed: None,
        };
        let mut recent = Recent::default();
        for (sequence, length) in (10..).step_by(3).zip(bodies) {
            recent.put(sequence, head, vec![0; *length].into());
        }
        recent
    }

    #[test]
    fn an_update_is_handed_over_once() {
        let mut recent = recent(&[1, 2, 3]);
        assert_eq!(recent.take(13).map(|(_, body)| body.len()), Some(2));
        assert_eq!(recent.take(13), None);
        assert_eq!(recent.take(14), None);
        assert!(recent.take(16).is_some() && recent.take(10).is_some());
        assert!(recent.updates.is_empty() && recent.bytes == 0);
    }

    #[test]
    fn of_too_many_bytes_the_oldest_are_not_kept() {
        let mut recent = recent(&[MAX_BYTES / 2, MAX_BYTES / 4, MAX_BYTES / 2]);
        assert!(recent.take(10).is_none());
        assert!(recent.take(13).is_some() && recent.take(16).is_some());
        assert_eq!(recent.bytes, 0);
        recent.put(20, Head { received_at: 1, ..recent_head() }, vec![0; MAX_BYTES + 1].into());
        assert!(recent.take(20).is_none());
        assert_eq!(recent.bytes, 0);
    }

    fn recent_head() -> Head {
        recent(&[0]).take(10).unwrap().0
    }
}
