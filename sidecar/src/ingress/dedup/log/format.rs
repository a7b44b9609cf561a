//! What is in the file: slots of 32 bytes. The first two are its head, every other one holds a record. Numbers are in little-endian
//! order.
//!
//! ```text
//! head
//!  0..28  name of the format, `telegram-webhook-dedup 2`, a line feed, and zeros
//! 28..60  key of the hash, drawn at random with each new file
//! 60..64  CRC-32 (IEEE) of the 60 bytes before
//!
//! record
//!  0..8   bot id, signed
//!  8..12  when the CRM accepted the update, Unix time in seconds
//! 12..28  HighwayHash-128 of bot id as above, body
//! 28..32  CRC-32 (IEEE) of the 28 bytes before
//! ```

use crate::dedup::{HashKey, Id, Key, Record, Seconds};

pub(super) const SLOT_LENGTH: usize = 32;
/// Slots of the head.
pub(super) const HEAD_SLOTS: usize = 2;
const HEAD_LENGTH: usize = HEAD_SLOTS * SLOT_LENGTH;
const NAME: &[u8; 28] = b"telegram-webhook-dedup 2\n\0\0\0";
/// Ends the head and each record.
const CHECKSUM_LENGTH: usize = 4;

pub(super) type Slot = [u8; SLOT_LENGTH];

/// What a file begins with.
pub(super) enum Head {
    Whole(HashKey),
    /// It was being written: there is nothing behind it.
    Unfinished,
    /// Of another version, or damaged.
    Unreadable,
}

// === impl Head ===

impl Head {
    pub(super) fn encode(hash_key: HashKey) -> [u8; HEAD_LENGTH] {
        let mut head = [0; HEAD_LENGTH];
        head[..28].copy_from_slice(NAME);
        head[28..60].copy_from_slice(hash_key.to_bytes().as_flattened());
        seal(&mut head);
        head
    }

    /// Of the first bytes of a file, as many as there are of a head's.
    pub(super) fn decode(head: &[u8]) -> Self {
        let named = head.iter().zip(NAME).all(|(byte, expected)| byte == expected);
        match (named, head.get(28..60).and_then(|key| key.as_chunks().0.try_into().ok())) {
            (true, Some(key)) if is_sealed(head) => Self::Whole(HashKey::from_bytes(key)),
            (true, _) if head.len() < HEAD_LENGTH => Self::Unfinished,
            _ => Self::Unreadable,
        }
    }
}

// === impl Record ===

impl Record {
    pub(super) fn encode(&self) -> Slot {
        let mut slot = [0; SLOT_LENGTH];
        slot[..8].copy_from_slice(&self.id.bot.to_le_bytes());
        slot[8..12].copy_from_slice(&self.at.to_le_bytes());
        slot[12..28].copy_from_slice(self.id.key.0.as_flattened());
        seal(&mut slot);
        slot
    }

    /// None if the slot is damaged.
    pub(super) fn decode(slot: &Slot) -> Option<Self> {
        if !is_sealed(slot) {
            return None;
        }
        let (bot, rest) = slot.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (low, rest) = rest.split_first_chunk()?;
        let (high, _) = rest.split_first_chunk()?;
        let id = Id { bot: i64::from_le_bytes(*bot), key: Key([*low, *high]) };
        Some(Self { id, at: Seconds::from_le_bytes(*at) })
    }
}

/// Ends it with the checksum of all that is before.
fn seal(bytes: &mut [u8]) {
    if let Some((content, checksum)) = bytes.split_last_chunk_mut::<CHECKSUM_LENGTH>() {
        *checksum = crc32fast::hash(content).to_le_bytes();
    }
}

fn is_sealed(bytes: &[u8]) -> bool {
    let sealed = bytes.split_last_chunk::<CHECKSUM_LENGTH>();
    sealed.is_some_and(|(content, checksum)| crc32fast::hash(content).to_le_bytes() == *checksum)
}
