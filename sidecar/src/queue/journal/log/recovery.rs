//! Finds out what a log holds, by the rules of the module above.

mod reader;
mod replay;

use std::{io::IoSlice, sync::Arc};

use self::reader::{Batch, Rest};
pub(super) use self::{reader::Reader, replay::Replay};
use super::{
    OpenError, Options, Sequence,
    files::{File, Files},
    format::FIRST_BATCH,
    index::Index,
    repair::REPAIR,
    segment::{self, Segment, UNFINISHED},
};

/// Numbers above it are none of ours; those below can be counted on.
const MAX_NUMBER: u64 = 1 << 62;

/// What was found, and where to go on.
#[derive(Debug)]
pub(super) struct Recovered<T> {
    pub index: Index<T>,
    pub active: Segment<T>,
    /// Where the next batch goes.
    pub tail: u64,
    pub spares: Vec<Segment<T>>,
    /// Of the next batch.
    pub number: u64,
    /// Of the next record.
    pub next: u64,
    /// The oldest segment that there should be.
    pub oldest: u64,
}

/// Opens the segments, cuts what a crash interrupted and syncs what is left.
pub(super) fn recover<F: Files>(files: &F, options: Options) -> Result<Recovered<F::File>, OpenError> {
    let names = clean(files).map_err(|error| OpenError::Io { action: "list", error })?;
    if names.iter().any(|name| name.starts_with(REPAIR)) {
        return Err(OpenError::Repair);
    }
    let mut segments = open(files, &numbers(&names)?)?;
    if segments.is_empty() {
        let made = Segment::create(files, 1, options.segment_bytes);
        let made = made.map_err(|error| OpenError::Io { action: "make", error })?;
        segments.push(made.ok_or_else(|| OpenError::Io {
            action: "make",
            error: std::io::ErrorKind::StorageFull.into(),
        })?);
    }
    let Replay { index, number, next, oldest, end, unfinished, .. } = Replay::of(&segments)?;
    let mut segments = segments.into_iter().skip_while(|segment| segment.number < end.segment);
    let Some(active) = segments.next() else {
        return Err(OpenError::Corrupt { segment: end.segment, offset: end.offset, reason: "it is gone" });
    };
    settle(&active, end.offset, unfinished).map_err(|error| OpenError::Io { action: "recover", error })?;
    Ok(Recovered { index, active, tail: end.offset, spares: segments.collect(), number, next, oldest })
}

/// All names, but those of what never was a segment, which is removed.
fn clean<F: Files>(files: &F) -> std::io::Result<Vec<String>> {
    let names = files.list()?;
    for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
        files.unlink(name)?;
    }
    // that what is seen stays: nobody may have synced it
    files.sync_folder()?;
    Ok(names)
}

/// Numbers of the segments, in order and without a gap.
pub(super) fn numbers(names: &[String]) -> Result<Vec<u64>, OpenError> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    let gap =
        numbers.iter().zip(numbers.iter().skip(1)).find(|(one, other)| one.checked_add(1) != Some(**other));
    if let Some(last) = numbers.last().filter(|last| **last > MAX_NUMBER) {
        return Err(At { segment: *last, offset: 0 }.corrupt("it has a number that no log comes to"));
    }
    match gap {
        Some((before, _)) => {
            Err(At { segment: before.saturating_add(1), offset: 0 }.corrupt("it is missing"))
        }
        None => Ok(numbers),
    }
}

pub(super) fn open<F: Files>(files: &F, numbers: &[u64]) -> Result<Vec<Segment<F::File>>, OpenError> {
    let open = |number: &u64| {
        let opened =
            Segment::open(files, *number).map_err(|error| OpenError::Io { action: "open", error })?;
        opened.map_err(|reason| At { segment: *number, offset: 0 }.corrupt(reason))
    };
    numbers.iter().map(open).collect()
}

/// Makes durable what was read: it may be in the system's memory only. What follows it must not come back.
fn settle<T: File>(active: &Segment<T>, tail: u64, unfinished: bool) -> std::io::Result<()> {
    let zeros = vec![0; 1 << 16];
    let mut offset = if unfinished { tail } else { active.size };
    while offset < active.size {
        let part = zeros.len().min(usize::try_from(active.size - offset).unwrap_or(usize::MAX));
        active.file.write_at(&mut [IoSlice::new(zeros.get(..part).unwrap_or(&zeros))], offset)?;
        offset += part as u64;
    }
    active.file.sync()
}

/// Shows all live records in their order.
pub(super) fn show<T: File>(
    index: &Index<T>,
    mut visit: impl FnMut(Sequence, &[u8]),
) -> Result<(), OpenError> {
    let mut reader: Option<(u64, Reader<T>)> = None;
    for (sequence, place) in index.iter() {
        let Some(file) = index.file(place.segment) else { continue };
        let (_, reader) = match &mut reader {
            Some(current) if current.0 == place.segment => current,
            other => other.insert((place.segment, Reader::new(Arc::clone(&file)))),
        };
        let bytes = reader.bytes(u64::from(place.offset), place.length as usize);
        visit(Sequence(sequence), bytes.map_err(|error| OpenError::Io { action: "read", error })?);
    }
    Ok(())
}

/// Where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub segment: u64,
    pub offset: u64,
}

impl At {
    pub const fn start(segment: u64) -> Self {
        Self { segment, offset: FIRST_BATCH }
    }

    pub const fn corrupt(self, reason: &'static str) -> OpenError {
        OpenError::Corrupt { segment: self.segment, offset: self.offset, reason }
    }
}
