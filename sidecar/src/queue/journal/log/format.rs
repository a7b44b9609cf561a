//! How headers and frames are written, as the module above says.

mod encoder;

pub(super) use self::encoder::{Encoder, removals_framed};

/// A sector of its own, which is never written again.
pub(super) const SEGMENT_HEADER: usize = 512;
/// Where the first batch of a segment is.
pub(super) const FIRST_BATCH: u64 = SEGMENT_HEADER as u64;
pub(super) const BATCH_HEADER: usize = 48;
pub(super) const HEAD: usize = 24;
/// Batches and frames begin at multiples of it.
pub(super) const ALIGNMENT: usize = 8;
const SEGMENT_MAGIC: [u8; 8] = *b"TWS-LOG1";
const SEGMENT_FIELDS: usize = 36;
const BATCH_MAGIC: [u8; 4] = *b"TWSb";

/// What a segment begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub number: u64,
    pub size: u64,
    pub salt: u64,
}

/// What a batch begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub length: u32,
    pub number: u64,
    pub durable: u64,
    pub next: u64,
    pub oldest: u64,
    /// Checksum of the heads.
    pub heads: u32,
}

/// What a frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub kind: Kind,
    pub length: u32,
    pub sequence: u64,
    pub crc: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Moved,
    Removals,
}

// === impl SegmentHeader ===

impl SegmentHeader {
    /// A whole sector.
    pub fn encode(self) -> Vec<u8> {
        let Self { number, size, salt } = self;
        let mut bytes = SEGMENT_MAGIC.to_vec();
        for field in [number, size, salt] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes.resize(SEGMENT_HEADER, 0);
        bytes
    }

    /// None unless it is whole.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (fields, crc) = bytes.get(..SEGMENT_FIELDS)?.split_last_chunk()?;
        if crc32fast::hash(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut fields = Fields(fields.strip_prefix(&SEGMENT_MAGIC)?);
        Some(Self { number: fields.u64()?, size: fields.u64()?, salt: fields.u64()? })
    }
}

// === impl BatchHeader ===

impl BatchHeader {
    pub fn encode(self, salt: u64) -> [u8; BATCH_HEADER] {
        let Self { length, number, durable, next, oldest, heads } = self;
        let mut bytes = [0; BATCH_HEADER];
        let fields: [&[u8]; 7] = [
            &BATCH_MAGIC,
            &length.to_le_bytes(),
            &number.to_le_bytes(),
            &durable.to_le_bytes(),
            &next.to_le_bytes(),
            &oldest.to_le_bytes(),
            &heads.to_le_bytes(),
        ];
        let (all, crc) = bytes.split_at_mut(BATCH_HEADER - 4);
        all.copy_from_slice(&fields.concat());
        crc.copy_from_slice(&salted(salt, all).to_le_bytes());
        bytes
    }

    /// None unless it is one of the segment with that salt.
    pub fn decode(salt: u64, bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..BATCH_HEADER)?;
        // most that isn't a header fails here
        let mut fields = Fields(header.strip_prefix(&BATCH_MAGIC)?);
        let (all, crc) = header.split_last_chunk()?;
        if salted(salt, all) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (length, number, durable) = (fields.u32()?, fields.u64()?, fields.u64()?);
        let (next, oldest) = (fields.u64()?, fields.u64()?);
        Some(Self { length, number, durable, next, oldest, heads: fields.u32()? })
    }
}

// === impl Head ===

impl Head {
    pub fn encode(self) -> [u8; HEAD] {
        let Self { kind, length, sequence, crc } = self;
        let kind: u32 = match kind {
            Kind::Record => 1,
            Kind::Moved => 2,
            Kind::Removals => 3,
        };
        let mut bytes = [0; HEAD];
        let fields: [&[u8]; 5] = [
            &kind.to_le_bytes(),
            &length.to_le_bytes(),
            &sequence.to_le_bytes(),
            &crc.to_le_bytes(),
            &[0; 4],
        ];
        bytes.copy_from_slice(&fields.concat());
        bytes
    }

    /// None for what no version writes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let kind = match fields.u32()? {
            1 => Kind::Record,
            2 => Kind::Moved,
            3 => Kind::Removals,
            _ => return None,
        };
        Some(Self { kind, length: fields.u32()?, sequence: fields.u64()?, crc: fields.u32()? })
    }
}

/// Takes numbers off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }
}

/// The sequences of a frame of removals.
pub(super) fn removals(payload: &[u8]) -> impl Iterator<Item = u64> {
    payload.as_chunks().0.iter().map(|sequence| u64::from_le_bytes(*sequence))
}

/// What a payload of that length takes with its head.
pub(super) const fn framed(length: usize) -> usize {
    HEAD + length.next_multiple_of(ALIGNMENT)
}

fn salted(salt: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}
