//! The places that a server has for connections. When all are taken, a newcomer gets the place of the connection that has been
//! without proof of its right to be here for the longest, first of those of unlisted addresses: whoever opens connections and says nothing can't keep others out. One
//! address has only a few places for connections without proof, and its newcomers get the places of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use super::Standing;
use crate::address::AddressKey;

/// Connections of one address, or one IPv6 /64, that have proven nothing. Whoever has a right to be here proves it with the first
/// request.
const MAX_PER_ADDRESS: usize = 16;

/// All places of a server.
#[derive(Default)]
pub(super) struct Places {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: usize,
    next: u64,
    /// In the order in which they give way.
    unproven: BTreeMap<Id, Unproven>,
    /// The same by address, where that counts.
    by_address: BTreeSet<(AddressKey, Id)>,
}

/// By standing, then as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    standing: Standing,
    number: u64,
}

/// A connection that may have to give way.
struct Unproven {
    /// Tells it so.
    evicted: CancellationToken,
    key: Option<AddressKey>,
}

/// One taken place; free again with the end of the value.
pub(super) struct Place {
    places: Arc<Places>,
    id: Id,
    /// Its place has gone to another.
    evicted: CancellationToken,
    /// It is kept: every request after the first says so again.
    proven: AtomicBool,
}

// === impl Places ===

impl Places {
    /// A place of `max`, or none if all are taken by connections that have proven themselves. With a key it counts as one of that
    /// address.
    pub(super) fn take(
        self: &Arc<Self>,
        max: usize,
        standing: Standing,
        key: Option<AddressKey>,
    ) -> Option<Place> {
        let mut state = self.state();
        if let Some(key) = key {
            state.make_room(key);
        }
        // there may have been more of them when the others were taken
        if state.taken >= max {
            let (first, _) = state.unproven.first_key_value()?;
            let first = *first;
            state.evict(first);
        }
        state.taken += 1;
        let id = Id { standing, number: state.next };
        state.next += 1;
        let evicted = CancellationToken::new();
        state.unproven.insert(id, Unproven { evicted: evicted.clone(), key });
        if let Some(key) = key {
            state.by_address.insert((key, id));
        }
        Some(Place { places: Arc::clone(self), id, evicted, proven: AtomicBool::new(false) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // nothing that holds the lock can panic half-way
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Id ===

impl Id {
    const FIRST: Self = Self { standing: Standing::Unlisted, number: 0 };
    const LAST: Self = Self { standing: Standing::Listed, number: u64::MAX };
}

// === impl State ===

impl State {
    /// Lets the oldest of an address that has no more places give way.
    fn make_room(&mut self, key: AddressKey) {
        let of_this = (key, Id::FIRST)..=(key, Id::LAST);
        let mut of_address = self.by_address.range(of_this).map(|(_, id)| *id);
        let oldest = of_address.next();
        if of_address.count() + 1 >= MAX_PER_ADDRESS
            && let Some(oldest) = oldest
        {
            self.evict(oldest);
        }
    }

    /// Takes a place away from a connection, and tells it.
    fn evict(&mut self, id: Id) {
        if let Some(unproven) = self.remove(id) {
            unproven.evicted.cancel();
            self.taken -= 1;
        }
    }

    fn remove(&mut self, id: Id) -> Option<Unproven> {
        let unproven = self.unproven.remove(&id)?;
        if let Some(key) = unproven.key {
            self.by_address.remove(&(key, id));
        }
        Some(unproven)
    }
}

// === impl Place ===

impl Place {
    /// From now on it is kept.
    pub(super) fn prove(&self) {
        // a connection's requests come one after the other
        if !self.proven.load(Ordering::Relaxed) {
            self.proven.store(true, Ordering::Relaxed);
            self.places.state().remove(self.id);
        }
    }

    /// Cancelled when the connection has to give way.
    pub(super) fn evicted(&self) -> CancellationToken {
        self.evicted.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        // else it was taken away, not given back
        if !self.evicted.is_cancelled() {
            state.remove(self.id);
            state.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
