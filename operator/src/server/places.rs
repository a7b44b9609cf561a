//! The places that a server has for connections. When all are taken, a newcomer gets the place of the connection that has been
//! without proof of its right to be here for the longest: whoever opens connections and says nothing can't keep others out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// All places of a server.
pub(super) struct Places {
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: usize,
    next: u64,
    /// What tells a connection to give way, in the order in which they came.
    unproven: BTreeMap<u64, CancellationToken>,
}

/// One taken place; free again with the end of the value.
pub struct Place {
    places: Arc<Places>,
    id: u64,
    /// Its place has gone to another.
    evicted: CancellationToken,
}

// === impl Places ===

impl Places {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, state: Mutex::default() })
    }

    /// A place, or none if all are taken by connections that have proven themselves.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.state();
        if state.taken < self.max {
            state.taken += 1;
        } else {
            state.unproven.pop_first()?.1.cancel();
        }
        let id = state.next;
        state.next += 1;
        let evicted = CancellationToken::new();
        state.unproven.insert(id, evicted.clone());
        Some(Place { places: Arc::clone(self), id, evicted })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // nothing that holds the lock can panic half-way
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    /// From now on it is kept.
    pub fn prove(&self) {
        self.places.state().unproven.remove(&self.id);
    }

    /// Ends when the connection has to give way.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        // else it was passed on, not given back
        if !self.evicted.is_cancelled() {
            state.unproven.remove(&self.id);
            state.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(place: &Place) -> bool {
        place.evicted.is_cancelled()
    }

    #[test]
    fn the_oldest_that_has_proven_nothing_gives_way() {
        let places = Places::new(3);
        let [proven, first, second] = std::array::from_fn(|_| places.take().unwrap());
        proven.prove();
        let third = places.take().unwrap();
        assert!(is_evicted(&first) && !is_evicted(&second) && !is_evicted(&proven));
        let fourth = places.take().unwrap();
        assert!(is_evicted(&second));
        third.prove();
        fourth.prove();
        assert!(places.take().is_none(), "nobody has to give way");
        assert!(![&proven, &third, &fourth].into_iter().any(is_evicted));
    }

    #[test]
    fn a_place_is_given_back_once_whether_passed_on_or_not() {
        let places = Places::new(1);
        let first = places.take().unwrap();
        let second = places.take().unwrap();
        first.prove();
        drop(first);
        assert_eq!(places.state().taken, 1);
        second.prove();
        assert!(places.take().is_none());
        drop(second);
        assert_eq!(places.state().taken, 0);
        assert!(places.take().is_some());
    }
}
