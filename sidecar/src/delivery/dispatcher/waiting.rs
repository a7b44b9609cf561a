//! The updates in hand that wait for their next attempt.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::queue::{Hold, Lease};

/// An update in hand.
pub(super) struct Held<R> {
    pub(super) lease: Lease<R>,
    /// Tells it from others that were ever in hand.
    pub(super) serial: u64,
    /// How often it has been tried since it is in hand.
    pub(super) attempts: u32,
    /// Those of the failed attempts that speak against the update.
    pub(super) counted: u32,
    /// How many updates the CRM had accepted when it was tried last, or taken.
    pub(super) accepted: u64,
    /// Counts all attempts of all updates: the lower, the longer ago.
    pub(super) tried: u64,
    /// The CRM asked not to be asked sooner.
    pub(super) not_before: Option<Instant>,
}

/// Those that wait, by when they are due.
pub(super) struct Waiting<R>(BTreeMap<(Instant, u64), Held<R>>);

// === impl Held ===

impl<R> Held<R> {
    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.lease.update.expires_at.is_some_and(|at| at <= now)
    }

    fn may_be_asked(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }
}

// === impl Waiting ===

impl<R: Hold> Waiting<R> {
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, due: Instant, held: Held<R>) {
        self.0.insert((due, held.serial), held);
    }

    /// The next one that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Held<R>> {
        let entry = self.0.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    /// The one that was tried longest ago, due or not, unless the CRM asked to wait.
    pub(super) fn take_probe(&mut self, now: Instant) -> Option<Held<R>> {
        let candidates = self.0.iter().filter(|(_, held)| held.may_be_asked(now));
        let key = candidates.min_by_key(|(_, held)| held.tried).map(|(key, _)| *key)?;
        self.0.remove(&key)
    }

    /// One that nobody waits for any more.
    pub(super) fn take_expired(&mut self, now: SystemTime) -> Option<Held<R>> {
        let key = self.0.iter().find(|(_, held)| held.is_expired(now)).map(|(key, _)| *key)?;
        self.0.remove(&key)
    }

    /// One that another sidecar may have by now.
    pub(super) fn take_lost(&mut self) -> Option<Held<R>> {
        let key = self.0.iter().find(|(_, held)| !held.lease.holds()).map(|(key, _)| *key)?;
        self.0.remove(&key)
    }

    /// Makes all of them due, but those that the CRM asked to wait with.
    pub(super) fn hurry(&mut self, now: Instant) {
        let all = std::mem::take(&mut self.0);
        self.0 = all
            .into_values()
            .map(|held| ((held.not_before.unwrap_or(now).max(now), held.serial), held))
            .collect();
    }

    /// When the first one is due.
    pub(super) fn first_due(&self) -> Option<Instant> {
        self.0.first_key_value().map(|((due, _), _)| *due)
    }

    /// The times at which something changes by itself: when each is due, may be asked, or expires.
    pub(super) fn times(&self, now: Instant, clock: SystemTime) -> impl Iterator<Item = Instant> {
        let due = self.0.keys().map(|(due, _)| *due).find(move |due| *due > now);
        let asked = self.0.values().filter_map(|held| held.not_before);
        let expiring = self.0.values().filter_map(|held| held.lease.update.expires_at);
        let expiring = expiring.map(move |at| now + at.duration_since(clock).unwrap_or(Duration::ZERO));
        asked.chain(expiring).chain(due)
    }
}
