//! What was acknowledged to Telegram, what the CRM got, and what must never be.
//!
//! The CRM honours `webhook-id`: the first delivery with an id has an effect, any other has none. A delivery without the header has
//! one each time.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

/// Everything that a run has seen.
#[derive(Default)]
pub struct Ledger {
    updates: HashMap<u64, Entry>,
    webhook_ids: HashSet<String>,
    /// The latest update of each chat that had an effect.
    latest: HashMap<u64, u64>,
    /// Times within which nothing broke: counts whatever may have kept an answer of the CRM from the queue.
    epoch: u64,
    /// Whether an answer of the CRM settles an update for good unless something breaks.
    answers_settle: bool,
    /// Updates that must not come again.
    forbidden: HashSet<u64>,
    counts: Counts,
}

/// One update.
#[derive(Default)]
struct Entry {
    acknowledged: bool,
    effects: u32,
    /// The epoch in which the CRM has answered 200 last.
    answered: Option<u64>,
}

/// Sums, kept up to date.
#[derive(Clone, Copy, Default)]
struct Counts {
    acknowledged: usize,
    delivered: usize,
    /// Of these, those that were acknowledged.
    both: usize,
    redelivered: usize,
    repeated: usize,
    out_of_order: usize,
    duplicate_effects: usize,
    overlapping: usize,
    altered: usize,
    forbidden: usize,
}

/// What came of a run. Prints as `acked=… delivered=… lost=… out_of_order=… duplicate_effects=… redelivered=…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Updates that were answered 200.
    pub acked: usize,
    /// Updates that had an effect.
    pub delivered: usize,
    /// Acknowledged, and without effect.
    pub lost: usize,
    /// First effects after that of a later update of the chat.
    pub out_of_order: usize,
    /// Effects beyond the first.
    pub duplicate_effects: usize,
    /// Deliveries beyond the first, whatever the CRM makes of them.
    pub redelivered: usize,
    /// Of these, those after an answer that nothing kept from arriving, and of updates that were long done.
    pub repeated: usize,
    /// Deliveries while another of the same chat was under way.
    pub overlapping: usize,
    /// Deliveries of something else than what was sent.
    pub altered: usize,
}

// === impl Ledger ===

impl Ledger {
    pub fn new(answers_settle: bool) -> Self {
        Self { answers_settle, ..Self::default() }
    }

    pub fn acknowledged(&mut self, update: u64) {
        let entry = self.updates.entry(update).or_default();
        if !entry.acknowledged {
            entry.acknowledged = true;
            self.counts.acknowledged += 1;
            self.counts.both += usize::from(entry.effects > 0);
        }
    }

    /// The CRM has taken an update over.
    pub fn delivered(&mut self, update: u64, chat: u64, webhook_id: Option<&str>) {
        let entry = self.updates.entry(update).or_default();
        let counts = &mut self.counts;
        if entry.effects > 0 {
            counts.redelivered += 1;
            counts.repeated += usize::from(entry.answered == Some(self.epoch));
            counts.forbidden += usize::from(self.forbidden.contains(&update));
        }
        if webhook_id.is_some_and(|id| !self.webhook_ids.insert(id.to_owned())) {
            return;
        }
        entry.effects += 1;
        if entry.effects > 1 {
            counts.duplicate_effects += 1;
            return;
        }
        counts.delivered += 1;
        counts.both += usize::from(entry.acknowledged);
        let latest = self.latest.entry(chat).or_insert(update);
        counts.out_of_order += usize::from(update < *latest);
        *latest = update.max(*latest);
    }

    /// The CRM's 200 to an update is under way.
    pub fn answered(&mut self, update: u64) {
        if self.answers_settle {
            self.updates.entry(update).or_default().answered = Some(self.epoch);
        }
    }

    /// Something has broken that may have kept answers from arriving.
    pub fn broken(&mut self) {
        self.epoch += 1;
    }

    pub fn overlapping(&mut self) {
        self.counts.overlapping += 1;
    }

    pub fn altered(&mut self) {
        self.counts.altered += 1;
    }

    /// From now on another delivery of these is a fault, whatever breaks.
    pub fn forbid(&mut self, updates: impl IntoIterator<Item = u64>) {
        self.forbidden.extend(updates);
    }

    /// Acknowledged updates that had no effect yet.
    pub fn waiting(&self) -> usize {
        self.counts.acknowledged - self.counts.both
    }

    pub fn verdict(&self) -> Verdict {
        let Counts { acknowledged, delivered, redelivered, repeated, forbidden, .. } = self.counts;
        let Counts { out_of_order, duplicate_effects, overlapping, altered, .. } = self.counts;
        Verdict {
            acked: acknowledged,
            delivered,
            lost: self.waiting(),
            out_of_order,
            duplicate_effects,
            redelivered,
            repeated: repeated + forbidden,
            overlapping,
            altered,
        }
    }
}

// === impl Verdict ===

impl Verdict {
    /// Nothing is there that must never be.
    pub fn is_clean(&self) -> bool {
        let Self { acked, delivered, redelivered, .. } = *self;
        *self == Self { acked, delivered, redelivered, ..Self::default() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            acked,
            delivered,
            lost,
            out_of_order,
            duplicate_effects,
            redelivered,
            repeated,
            overlapping,
            altered,
        } = self;
        write!(
            f,
            "acked={acked} delivered={delivered} lost={lost} out_of_order={out_of_order} \
             duplicate_effects={duplicate_effects} redelivered={redelivered} repeated={repeated} overlapping={overlapping} \
             altered={altered}"
        )
    }
}

#[cfg(test)]
mod tests;
