//! Where each live record is, by its sequence. There may be very many: 25 bytes each, where most of those that follow each other live.

use std::collections::BTreeMap;

use super::Place;

/// Sequences of one run.
const RUN: u64 = 64;

#[derive(Debug, Default)]
pub(super) struct Places {
    /// By the number of the run; none is empty.
    runs: BTreeMap<u64, Vec<Entry>>,
    len: usize,
}

/// One place, with its sequence's position in the run where padding would be.
#[derive(Debug, Clone, Copy)]
struct Entry {
    segment: u64,
    offset: u32,
    length: u32,
    crc: u32,
    position: u8,
}

// === impl Places ===

impl Places {
    pub fn get(&self, sequence: u64) -> Option<Place> {
        let run = self.runs.get(&(sequence / RUN))?;
        run.get(find(run, sequence).ok()?).map(Entry::place)
    }

    /// Notes a place; the one before, if there was one.
    pub fn put(&mut self, sequence: u64, place: Place) -> Option<Place> {
        let run = self.runs.entry(sequence / RUN).or_default();
        let entry = Entry::new(sequence, place);
        match find(run, sequence) {
            Ok(at) => run.get_mut(at).map(|old| std::mem::replace(old, entry).place()),
            Err(at) => {
                run.insert(at, entry);
                self.len += 1;
                None
            }
        }
    }

    /// Notes where one is that has been elsewhere: there, if it is known.
    pub fn replace(&mut self, sequence: u64, place: Place) -> Option<Place> {
        let run = self.runs.get_mut(&(sequence / RUN))?;
        let at = find(run, sequence).ok()?;
        run.get_mut(at).map(|old| std::mem::replace(old, Entry::new(sequence, place)).place())
    }

    pub fn remove(&mut self, sequence: u64) -> Option<Place> {
        let number = sequence / RUN;
        let run = self.runs.get_mut(&number)?;
        let removed = run.remove(find(run, sequence).ok()?);
        self.len -= 1;
        if run.is_empty() {
            self.runs.remove(&number);
        } else if run.len() * 4 <= run.capacity() {
            // of many runs only little may be left
            run.shrink_to(run.len() * 2);
        }
        Some(removed.place())
    }

    /// All in the order of their sequences.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Place)> {
        let with_sequence =
            |number: u64| move |entry: &Entry| (number * RUN + u64::from(entry.position), entry.place());
        self.runs.iter().flat_map(move |(number, run)| run.iter().map(with_sequence(*number)))
    }

    pub fn len(&self) -> usize {
        self.len
    }
}

/// Where a sequence is in its run, or belongs. Mostly it is a new one, that belongs at the end.
fn find(run: &[Entry], sequence: u64) -> Result<usize, usize> {
    let position = position(sequence);
    if run.last().is_none_or(|last| last.position < position) {
        return Err(run.len());
    }
    run.binary_search_by_key(&position, |entry| entry.position)
}

fn position(sequence: u64) -> u8 {
    // less than a run
    u8::try_from(sequence % RUN).unwrap_or(u8::MAX)
}

// === impl Entry ===

impl Entry {
    fn new(sequence: u64, place: Place) -> Self {
        let Place { segment, offset, length, crc } = place;
        Self { segment, offset, length, crc, position: position(sequence) }
    }

    fn place(&self) -> Place {
        let Self { segment, offset, length, crc, .. } = *self;
        Place { segment, offset, length, crc }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(segment: u64) -> Place {
        Place { segment, offset: 1, length: 2, crc: 3 }
    }

    proptest! {
        #[test]
        fn places_answer_as_a_map_does(steps in prop::collection::vec((0..300_u64, 0..6_u8, any::<u64>()), 1..600)) {
            let (mut places, mut model) = (Places::default(), BTreeMap::new());
            for (sequence, what, segment) in steps {
                match what {
                    0..3 => prop_assert_eq!(places.put(sequence, place(segment)), model.insert(sequence, place(segment))),
                    3 | 4 => prop_assert_eq!(places.remove(sequence), model.remove(&sequence)),
                    _ => {
                        let replaced = model.get_mut(&sequence).map(|old| std::mem::replace(old, place(segment)));
                        prop_assert_eq!(places.replace(sequence, place(segment)), replaced);
                    }
                }
                prop_assert_eq!(places.get(sequence), model.get(&sequence).copied());
                prop_assert_eq!(places.len(), model.len());
            }
            prop_assert!(places.iter().eq(model));
        }
    }

    #[test]
    fn a_record_takes_as_little_as_promised() {
        assert_eq!(size_of::<Entry>(), 24);
        let room = |places: &Places| places.runs.values().map(Vec::capacity).sum::<usize>();
        let mut places = Places::default();
        for sequence in 0..64 * RUN {
            places.put(sequence, place(1));
        }
        assert_eq!(room(&places), places.len());
        for sequence in (0..64 * RUN).filter(|sequence| sequence % RUN != 7) {
            places.remove(sequence);
        }
        assert_eq!(places.len(), 64);
        assert!(room(&places) <= 4 * 64, "{}", room(&places));
        for sequence in 0..64 * RUN {
            places.remove(sequence);
        }
        assert_eq!((room(&places), places.len()), (0, 0));
    }
}
