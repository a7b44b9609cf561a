//! Which update is given out next: the waiting updates by lane, in memory. No body, no file, no time.
//!
//! An update takes 24 bytes, a lane that has any 44 more; one without takes none. Of each lane the first update is either ready or in
//! somebody's hands, so that the ready ones need no order but that of a heap: what is in it only leaves it at its top.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    hash::{BuildHasher as _, RandomState},
};

use hashbrown::{HashTable, hash_table::Entry};

use crate::queue::Lane;

/// All updates that wait, those in hand among them.
#[derive(Default)]
pub(super) struct Lanes {
    updates: Slab<Waiting>,
    places: Slab<InLane>,
    /// The numbers of all lanes, each in its lane's place.
    numbers: HashTable<u32>,
    /// Lanes of which none is in hand, by the sequence of their first.
    ready: BinaryHeap<Reverse<(u64, u32)>>,
    /// Lanes of which one is in hand; few.
    in_hand: Vec<u32>,
    hasher: RandomState,
}

/// An update that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    sequence: u64,
    received_at: u64,
    deliveries: u32,
    /// The next one of its lane.
    next: Option<Link>,
}

#[derive(Debug, Clone, Copy)]
struct InLane {
    lane: Lane,
    first: u32,
    last: u32,
}

/// Place of the next one, plus one: so it takes no room to say that there is none.
type Link = std::num::NonZeroU32;

/// An update in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// Names it until it is settled or given back.
    pub lane: u32,
    pub sequence: u64,
    /// How often it was given out before.
    pub deliveries: u32,
}

/// Things with a place that stays theirs until they leave it.
struct Slab<T> {
    places: Vec<T>,
    free: Vec<u32>,
}

// === impl Lanes ===

impl Lanes {
    /// Puts an update at the end of its lane; true if it can be given out.
    pub fn push(&mut self, lane: Lane, sequence: u64, received_at: u64, deliveries: u32) -> bool {
        let update = self.updates.put(Waiting { sequence, received_at, deliveries, next: None });
        let Self { updates, places, numbers, ready, hasher, .. } = self;
        let of = |number: u32| places.places[number as usize].lane;
        let entry = numbers.entry(
            hasher.hash_one(lane),
            |number| of(*number) == lane,
            |number| hasher.hash_one(of(*number)),
        );
        match entry {
            Entry::Occupied(entry) => {
                let in_lane = &mut places.places[*entry.get() as usize];
                updates.places[in_lane.last as usize].next = Link::MIN.checked_add(update);
                in_lane.last = update;
                false
            }
            Entry::Vacant(entry) => {
                let number = places.put(InLane { lane, first: update, last: update });
                entry.insert(number);
                ready.push(Reverse((sequence, number)));
                true
            }
        }
    }

    /// The first update of the ready lane whose first came first.
    pub fn take(&mut self) -> Option<Taken> {
        let Reverse((sequence, lane)) = self.ready.pop()?;
        self.in_hand.push(lane);
        let update = self.first_of(lane);
        let deliveries = update.deliveries;
        update.deliveries = deliveries.saturating_add(1);
        Some(Taken { lane, sequence, deliveries })
    }

    /// What was taken is to be taken again.
    pub fn give_back(&mut self, lane: u32) {
        self.put_down(lane);
        let sequence = self.first_of(lane).sequence;
        self.ready.push(Reverse((sequence, lane)));
    }

    /// What was taken is gone; true if another of its lane can be given out now.
    pub fn settle(&mut self, lane: u32) -> bool {
        self.put_down(lane);
        let Self { updates, places, numbers, ready, hasher, .. } = self;
        let in_lane = &mut places.places[lane as usize];
        let settled = updates.free(in_lane.first);
        if let Some(next) = settled.next {
            in_lane.first = next.get() - 1;
            ready.push(Reverse((updates.places[in_lane.first as usize].sequence, lane)));
            return true;
        }
        let InLane { lane: key, .. } = places.free(lane);
        if let Ok(entry) = numbers.find_entry(hasher.hash_one(key), |number| *number == lane) {
            entry.remove();
        }
        false
    }

    pub fn len(&self) -> usize {
        self.updates.len()
    }

    /// When the one that came first was received: it is the first of its lane, and that is ready or in hand.
    pub fn oldest(&self) -> Option<u64> {
        let ready = self.ready.peek().map(|Reverse((_, lane))| *lane);
        let firsts = self.in_hand.iter().copied().chain(ready);
        let updates =
            firsts.map(|lane| self.updates.places[self.places.places[lane as usize].first as usize]);
        updates.min_by_key(|update| update.sequence).map(|update| update.received_at)
    }

    /// What was given out before and waits again, with how often that was. Only of a lane's first is that so, unless many were
    /// when it was opened.
    pub fn given_out(&self) -> impl Iterator<Item = (u64, u32)> {
        let heads = self.ready.iter().map(|Reverse((_, lane))| *lane).chain(self.in_hand.iter().copied());
        heads.flat_map(|lane| {
            let first = self.places.places[lane as usize].first;
            let after =
                |update: &Waiting| update.next.map(|next| self.updates.places[next.get() as usize - 1]);
            let of_lane = std::iter::successors(Some(self.updates.places[first as usize]), after);
            of_lane.filter(|update| update.deliveries > 0).map(|update| (update.sequence, update.deliveries))
        })
    }

    fn first_of(&mut self, lane: u32) -> &mut Waiting {
        &mut self.updates.places[self.places.places[lane as usize].first as usize]
    }

    fn put_down(&mut self, lane: u32) {
        if let Some(at) = self.in_hand.iter().position(|other| *other == lane) {
            self.in_hand.swap_remove(at);
        }
    }
}

// === impl Slab ===

impl<T: Copy> Slab<T> {
    fn put(&mut self, thing: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = thing;
            return place;
        }
        self.places.push(thing);
        // each takes more than four bytes of a disk whose budget is below 16 GiB
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }

    fn free(&mut self, place: u32) -> T {
        let thing = self.places[place as usize];
        self.free.push(place);
        if self.free.len() == self.places.len() {
            // after a peak all is given back
            *self = Self::default();
        }
        thing
    }

    fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
