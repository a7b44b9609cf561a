//! Where every live record is, and what each segment still holds.

mod places;

use std::{collections::BTreeMap, sync::Arc};

use self::places::Places;
use super::{format::framed, segment::Segment};

/// Where a record is. The segment is 0 while it is written nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub segment: u64,
    /// Of the payload.
    pub offset: u32,
    pub length: u32,
    pub crc: u32,
}

/// All that is live.
#[derive(Debug)]
pub(super) struct Index<T> {
    places: Places,
    bytes: u64,
    segments: BTreeMap<u64, Held<T>>,
    disk_bytes: u64,
}

/// A segment and what of it is live.
#[derive(Debug)]
struct Held<T> {
    file: Arc<T>,
    size: u64,
    records: u64,
    /// With their heads.
    bytes: u64,
}

/// What the segments hold that are written full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sealed {
    pub size: u64,
    pub live: u64,
}

// === impl Index ===

impl<T> Index<T> {
    pub fn new() -> Self {
        Self { places: Places::default(), bytes: 0, segments: BTreeMap::new(), disk_bytes: 0 }
    }

    pub fn add_segment(&mut self, segment: &Segment<T>) {
        let Segment { number, size, ref file, .. } = *segment;
        self.disk_bytes += size;
        self.segments.insert(number, Held { file: Arc::clone(file), size, records: 0, bytes: 0 });
    }

    pub fn drop_segment(&mut self, number: u64) {
        if let Some(held) = self.segments.remove(&number) {
            self.disk_bytes -= held.size;
        }
    }

    /// Notes where a record is, which may have been elsewhere before.
    pub fn put(&mut self, sequence: u64, place: Place) {
        if let Some(before) = self.places.put(sequence, place) {
            self.forget(before);
        }
        self.bytes += u64::from(place.length);
        self.count(place, true);
    }

    /// Notes that a record isn't where it was, unless it is gone.
    pub fn move_to(&mut self, sequence: u64, place: Place) {
        let Some(before) = self.places.replace(sequence, place) else { return };
        self.forget(before);
        self.bytes += u64::from(place.length);
        self.count(place, true);
    }

    pub fn remove(&mut self, sequence: u64) -> Option<Place> {
        let place = self.places.remove(sequence)?;
        self.forget(place);
        Some(place)
    }

    /// Nothing is there any more.
    fn forget(&mut self, place: Place) {
        self.bytes -= u64::from(place.length);
        self.count(place, false);
    }

    /// Forgets what was left in segments that were given up: its removal may not have been written.
    pub fn forget_before(&mut self, oldest: u64) {
        let given_up = |(sequence, place): (u64, Place)| (place.segment < oldest).then_some(sequence);
        let forgotten: Vec<u64> = self.iter().filter_map(given_up).collect();
        for sequence in forgotten {
            self.remove(sequence);
        }
    }

    fn count(&mut self, place: Place, more: bool) {
        let Some(held) = self.segments.get_mut(&place.segment) else { return };
        let bytes = framed(place.length as usize) as u64;
        if more {
            held.records += 1;
            held.bytes += bytes;
        } else {
            held.records -= 1;
            held.bytes -= bytes;
        }
    }

    pub fn get(&self, sequence: u64) -> Option<Place> {
        self.places.get(sequence)
    }

    pub fn file(&self, segment: u64) -> Option<Arc<T>> {
        self.segments.get(&segment).map(|held| Arc::clone(&held.file))
    }

    /// All live records in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Place)> {
        self.places.iter()
    }

    /// The oldest segment, and the oldest with anything live in it, or else the active one.
    pub fn oldest(&self, active: u64) -> (u64, u64) {
        let mut sealed = self.segments.range(..active);
        let first = sealed.clone().next().map_or(active, |(number, _)| *number);
        (first, sealed.find(|(_, held)| held.records > 0).map_or(active, |(number, _)| *number))
    }

    /// Live records of a segment, in their order.
    pub fn live_in(&self, segment: u64) -> Vec<u64> {
        self.iter().filter(|(_, place)| place.segment == segment).map(|(sequence, _)| sequence).collect()
    }

    /// The segments before that one.
    pub fn sealed(&self, active: u64) -> Sealed {
        self.segments.range(..active).fold(Sealed::default(), |sealed, (_, held)| Sealed {
            size: sealed.size + held.size,
            live: sealed.live + held.bytes,
        })
    }

    pub fn disk_bytes(&self) -> u64 {
        self.disk_bytes
    }

    pub fn live_records(&self) -> u64 {
        self.places.len() as u64
    }

    pub fn live_bytes(&self) -> u64 {
        self.bytes
    }
}
