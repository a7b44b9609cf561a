//! Keeps room: takes and makes segments, unlinks what is dead and moves what is left of old ones.

use super::{Active, Failure, Files, Segment, Writer, failure, framed, segment};
use crate::queue::journal::log::format::{BATCH_HEADER, FIRST_BATCH, SEGMENT_HEADER, removals_framed};

/// What room is needed for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Append,
    /// To remove and to move records, which gives room back: may use what is kept for it.
    Free,
}

/// What a batch takes besides its records.
const OVERHEAD: usize = BATCH_HEADER + removals_framed(0);

impl<F: Files> Writer<F> {
    /// Whether a segment can be given up, if one is to be.
    pub(super) fn can_declare(&mut self) -> Result<bool, Failure> {
        let is_wanted = self.declared < self.oldest;
        Ok(is_wanted
            && (self.active.has_reserve() || (!self.spares.is_empty() && self.rotate(Purpose::Free)?)))
    }

    /// False if there is none (7).
    pub(super) fn make_room_to_append(&mut self, bytes: usize) -> Result<bool, Failure> {
        if self.spares.is_empty() && !self.make_spare(Purpose::Append)? {
            return Ok(false);
        }
        Ok(bytes <= self.active.room() || self.rotate(Purpose::Append)?)
    }

    /// Room for the record that moves next; nothing moves if there is none.
    pub(super) fn make_room_to_move(&mut self) -> Result<usize, Failure> {
        let free = |room: usize| room.saturating_sub(OVERHEAD);
        while let Some(sequence) = self.moving.last() {
            let Some((place, _)) = self.shared.stored(*sequence) else {
                self.moving.pop();
                continue;
            };
            let bytes = framed(place.length as usize);
            if bytes <= free(self.active.room()) {
                break;
            }
            // one of a time when segments were larger
            let fits =
                (SEGMENT_HEADER + OVERHEAD + bytes + BATCH_HEADER) as u64 <= self.options.segment_bytes;
            if !(fits && self.rotate(Purpose::Free)?) {
                self.is_immovable = true;
                self.moving.clear();
            }
        }
        Ok(free(self.active.room()))
    }

    /// Goes on in the next segment; false if there is none for that purpose.
    pub(super) fn rotate(&mut self, purpose: Purpose) -> Result<bool, Failure> {
        let kept = usize::from(purpose == Purpose::Append);
        while self.spares.len() <= kept {
            if !self.make_spare(purpose)? {
                return Ok(false);
            }
        }
        // (3)
        if self.durable < self.number {
            self.sync()?;
        }
        self.active = Active::new(self.spares.remove(0), FIRST_BATCH);
        self.is_immovable = false;
        Ok(true)
    }

    fn make_spare(&mut self, purpose: Purpose) -> Result<bool, Failure> {
        let size = self.options.segment_bytes;
        let kept = if purpose == Purpose::Append { size } else { 0 };
        let taken = self.shared.with_index(|index| index.disk_bytes());
        if taken + size + kept > self.options.max_bytes {
            return Ok(false);
        }
        let newest = self.spares.last().unwrap_or(&self.active.segment).number;
        let made = Segment::create(&self.files, newest + 1, size).map_err(|error| failure("make", &error))?;
        let Some(segment) = made else { return Ok(false) };
        self.shared.with_index(|index| index.add_segment(&segment));
        self.spares.push(segment);
        Ok(true)
    }

    /// What is to be done after each batch.
    pub(super) fn tidy(&mut self) -> Result<(), Failure> {
        self.drop_dead()?;
        if self.spares.is_empty() {
            self.make_spare(Purpose::Append)?;
        }
        if self.moving.is_empty() && !self.is_immovable {
            self.choose_what_moves();
        }
        Ok(())
    }

    /// Gives up the oldest segments while nothing in them is live: the next batch says so, and then they are unlinked (6).
    fn drop_dead(&mut self) -> Result<(), Failure> {
        let Self { active, declared, .. } = self;
        let (first, oldest) = self.shared.with_index(|index| index.oldest(active.segment.number));
        self.oldest = oldest;
        for number in first..*declared {
            let name = segment::name(number);
            let unlinked = self.files.unlink(&name).and_then(|()| self.files.sync_folder());
            unlinked.map_err(|error| failure("unlink", &error))?;
            self.shared.with_index(|index| index.drop_segment(number));
            (self.is_full, self.is_stuck, self.is_immovable) = (false, false, false);
            self.moving.clear();
        }
        Ok(())
    }

    /// Moves the oldest segment's records when that is little work for what it frees: over time no byte moves for less than one that
    /// is freed. When records are refused for want of room, a smaller gain will do.
    fn choose_what_moves(&mut self) {
        let segment_bytes = self.options.segment_bytes;
        let active = self.active.segment.number;
        let hard_up = self.is_full || self.is_stuck || self.spares.is_empty();
        let most = self.options.max_bytes / 8;
        self.moving = self.shared.with_index(|index| {
            let sealed = index.sealed(active);
            let dead = sealed.size - sealed.live;
            let worth_it = dead > sealed.live.max(segment_bytes / 2);
            let needed = hard_up && dead > most.max(segment_bytes / 2);
            let (_, oldest) = index.oldest(active);
            if oldest == active || !(worth_it || needed) {
                return Vec::new();
            }
            let mut moving = index.live_in(oldest);
            moving.reverse();
            moving
        });
    }
}
