//! The file `end`, which a queue leaves that was closed in order: which of its updates were given out before, and how often.
//!
//! It is removed when the queue is open. So where it is missing the process was killed, and any update may have been given out.
//!
//! ```text
//! "telegram-webhook-end 1\n"   (sequence u64   deliveries u32)*   CRC-32 (IEEE) of all that u32
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind},
    path::Path,
};

const NAME: &str = "end";
const TITLE: &[u8] = b"telegram-webhook-end 1\n";
/// Of a sequence and its number of deliveries.
const ENTRY: usize = 12;

/// How often each update was given out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deliveries {
    /// None of those that aren't here.
    Known(BTreeMap<u64, u32>),
    /// Any may have been.
    Unknown,
}

// === impl Deliveries ===

impl Deliveries {
    /// What the last sidecar left.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let bytes = match fs::read(dir.join(NAME)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::Unknown),
            read => read?,
        };
        Ok(decode(&bytes).map_or(Self::Unknown, Self::Known))
    }

    /// What was left is gone from now on, also when the machine loses power.
    pub fn forget(dir: &Path) -> io::Result<()> {
        match fs::remove_file(dir.join(NAME)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| File::open(dir)?.sync_all()),
        }
    }

    /// Leaves this for the next sidecar.
    pub fn leave(dir: &Path, deliveries: impl IntoIterator<Item = (u64, u32)>) -> io::Result<()> {
        let mut bytes = TITLE.to_vec();
        for (sequence, deliveries) in deliveries {
            bytes.extend(sequence.to_le_bytes());
            bytes.extend(deliveries.to_le_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        fs::write(dir.join(NAME), bytes)
    }

    /// As far as is known; at least that it was, if it was.
    pub fn of(&self, sequence: u64) -> u32 {
        match self {
            Self::Known(deliveries) => deliveries.get(&sequence).copied().unwrap_or_default(),
            Self::Unknown => 1,
        }
    }
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<u64, u32>> {
    let (content, checksum) = bytes.split_last_chunk()?;
    if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (entries, []) = content.strip_prefix(TITLE)?.as_chunks::<ENTRY>() else { return None };
    let entries = entries.iter().map(|entry| {
        let (sequence, deliveries) = entry.split_first_chunk()?;
        Some((u64::from_le_bytes(*sequence), u32::from_le_bytes(deliveries.try_into().ok()?)))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_found_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Deliveries::read(dir.path()).unwrap(), Deliveries::Unknown);
        Deliveries::leave(dir.path(), [(7, 2), (1 << 40, 1)]).unwrap();
        let left = Deliveries::read(dir.path()).unwrap();
        assert_eq!([left.of(7), left.of(1 << 40), left.of(8)], [2, 1, 0]);
        Deliveries::forget(dir.path()).unwrap();
        assert_eq!(Deliveries::read(dir.path()).unwrap().of(8), 1);
        Deliveries::forget(dir.path()).unwrap();
    }

    #[test]
    fn a_file_that_was_not_finished_or_damaged_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        Deliveries::leave(dir.path(), [(7, 2)]).unwrap();
        let whole = fs::read(dir.path().join(NAME)).unwrap();
        for length in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[length] ^= 1;
            for bytes in [&whole[..length], &damaged] {
                fs::write(dir.path().join(NAME), bytes).unwrap();
                assert_eq!(Deliveries::read(dir.path()).unwrap(), Deliveries::Unknown, "{length}");
            }
        }
    }
}
