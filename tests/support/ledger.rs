//! Compares what was sent with what the CRM received.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::crm::Received;

/// What became of the updates of a run. Prints as `sent=… delivered=… lost=… duplicated=… out_of_order=…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Updates sent.
    pub sent: usize,
    /// Updates of these that the CRM received at least once.
    pub delivered: usize,
    /// Updates that it never received.
    pub lost: usize,
    /// Receipts beyond the first of an update.
    pub duplicated: usize,
    /// First receipts that came after one with a higher id in the same chat.
    pub out_of_order: usize,
    /// Receipts of updates that were never sent.
    pub foreign: usize,
}

impl Ledger {
    /// Compares the ids that were sent with the receipts, oldest first.
    pub fn new(sent: &BTreeSet<i64>, received: &[Received]) -> Self {
        let mut ledger = Self { sent: sent.len(), ..Self::default() };
        let mut seen = BTreeSet::new();
        let mut highest: BTreeMap<Option<i64>, i64> = BTreeMap::new();
        for Received { update_id, chat_id, .. } in received {
            if !sent.contains(update_id) {
                ledger.foreign += 1;
            } else if !seen.insert(*update_id) {
                ledger.duplicated += 1;
            } else {
                let highest = highest.entry(*chat_id).or_insert(*update_id);
                ledger.out_of_order += usize::from(*update_id < *highest);
                *highest = (*highest).max(*update_id);
            }
        }
        ledger.delivered = seen.len();
        ledger.lost = ledger.sent - ledger.delivered;
        ledger
    }

    /// Everything arrived once, in order, and nothing else did.
    pub fn is_clean(&self) -> bool {
        *self == Self { sent: self.sent, delivered: self.sent, ..Self::default() }
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, delivered, lost, duplicated, out_of_order, foreign: _ } = self;
        write!(
            f,
            "sent={sent} delivered={delivered} lost={lost} duplicated={duplicated} out_of_order={out_of_order}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts(pairs: &[(i64, i64)]) -> Vec<Received> {
        pairs
            .iter()
            .map(|&(update_id, chat)| Received { update_id, chat_id: Some(chat), secret_header: false })
            .collect()
    }

    #[test]
    fn chats_may_overtake_each_other() {
        let ledger = Ledger::new(&(1..=4).collect(), &receipts(&[(3, 7), (1, 8), (2, 8), (4, 7)]));
        assert!(ledger.is_clean(), "{ledger}");
    }

    #[test]
    fn every_kind_of_fault_is_counted() {
        let ledger =
            Ledger::new(&(1..=5).collect(), &receipts(&[(2, 7), (1, 7), (3, 7), (3, 7), (9, 7), (4, 7)]));
        assert_eq!(
            ledger,
            Ledger { sent: 5, delivered: 4, lost: 1, duplicated: 1, out_of_order: 1, foreign: 1 }
        );
    }
}
