//! What the records of the queue's two logs are. The logs check that they are as they were written; here they get their meaning.
//!
//! Numbers are little endian, times are milliseconds of Unix time unless said. A kind never gets another layout: a new layout is a new
//! kind, and whoever doesn't know a kind doesn't open the log.
//!
//! ```text
//! update    = 1 u8   flags u8   family u8   lane i64   received u64   key 16   [id i64]   [expires u64]   [replayed u64]   body
//! known     = 2 u8   seconds of Unix time u32   keys, 16 each
//! hash key  = 3 u8   32
//! letter    = 4 u8   flags u8   at u64   why u8   number u32   length u32   text   [origin u64]   [chat i64]   update
//! flags     = 1, 2, 4 in the order of the things in brackets: which of them are there
//! why       = 1 malformed: text   2 refused: number   3 given up: number of attempts, text
//! ```
//!
//! `key` is the hash of an update's bytes (`dedup::id`), `replayed` the sequence of the dead letter that became this update, `origin`
//! that of the update that became this letter.

mod letter;
mod reader;

use bytes::{BufMut as _, Bytes};

pub(super) use self::letter::Letter;
use self::reader::Reader;

use crate::{
    dedup::{HashKey, Key, Seconds},
    queue::{Lane, Update, from_millis, millis},
};

const UPDATE: u8 = 1;
const KNOWN: u8 = 2;
const HASH_KEY: u8 = 3;

/// What is stored of an update besides its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub update_id: Option<i64>,
    pub lane: Lane,
    pub received_at: u64,
    pub expires_at: Option<u64>,
    pub key: Key,
    /// The dead letter that it was.
    pub replayed: Option<u64>,
}

/// A record of the log of what waits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Update(Head, &'a [u8]),
    /// Updates that were stored and are gone.
    Known(Seconds, &'a [[u8; 16]]),
    HashKey([[u8; 8]; 4]),
}

/// A record that isn't of a kind known here, or not as that kind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("holds what this version can't read")]
pub(super) struct Unreadable;

// === impl Head ===

impl Head {
    pub fn of(update: &Update, key: Key, replayed: Option<u64>) -> Self {
        let Update { update_id, lane, received_at, expires_at, body: _ } = update;
        Self {
            update_id: *update_id,
            lane: *lane,
            received_at: millis(*received_at),
            expires_at: expires_at.map(millis),
            key,
            replayed,
        }
    }

    pub fn update(&self, body: Bytes) -> Update {
        let Self { update_id, lane, received_at, expires_at, .. } = *self;
        Update {
            update_id,
            lane,
            received_at: from_millis(received_at),
            expires_at: expires_at.map(from_millis),
            body,
        }
    }

    /// All of a record but its body, which follows.
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(64);
        self.put(&mut bytes);
        bytes.into()
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        let Self { update_id, lane, received_at, expires_at, key: Key(key), replayed } = self;
        bytes.put_u8(UPDATE);
        bytes.put_u8(flags([update_id.is_some(), expires_at.is_some(), replayed.is_some()]));
        bytes.put_u8(lane.family);
        bytes.put_i64_le(lane.id);
        bytes.put_u64_le(*received_at);
        bytes.put_slice(key.as_flattened());
        put_optional(bytes, update_id.map(i64::to_le_bytes));
        put_optional(bytes, expires_at.map(u64::to_le_bytes));
        put_optional(bytes, replayed.map(u64::to_le_bytes));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let [has_id, has_expiry, is_replayed] = reader.flags()?;
        let family = reader.u8()?;
        let lane = Lane { family, id: reader.i64()? };
        let received_at = reader.u64()?;
        let key = key(reader.array()?);
        Ok(Self {
            lane,
            received_at,
            key,
            update_id: has_id.then(|| reader.i64()).transpose()?,
            expires_at: has_expiry.then(|| reader.u64()).transpose()?,
            replayed: is_replayed.then(|| reader.u64()).transpose()?,
        })
    }
}

// === impl Record ===

impl<'a> Record<'a> {
    pub fn decode(record: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader(record);
        match reader.u8()? {
            UPDATE => Ok(Self::Update(Head::read(&mut reader)?, reader.0)),
            KNOWN => {
                let at = Seconds::from_le_bytes(reader.array()?);
                match reader.0.as_chunks() {
                    (keys, []) => Ok(Self::Known(at, keys)),
                    _ => Err(Unreadable),
                }
            }
            HASH_KEY => match reader.0.as_chunks() {
                (key, []) => Ok(Self::HashKey(key.try_into().map_err(|_| Unreadable)?)),
                _ => Err(Unreadable),
            },
            _ => Err(Unreadable),
        }
    }

    pub fn encode_hash_key(hash_key: HashKey) -> Bytes {
        [&[HASH_KEY], hash_key.to_bytes().as_flattened()].concat().into()
    }

    pub fn encode_known(at: Seconds, keys: impl IntoIterator<Item = Key>) -> Bytes {
        let mut bytes = vec![KNOWN];
        bytes.put_u32_le(at);
        for Key(key) in keys {
            bytes.put_slice(key.as_flattened());
        }
        bytes.into()
    }
}

pub(super) fn key(bytes: [u8; 16]) -> Key {
    let mut key = [[0; 8]; 2];
    key.as_flattened_mut().copy_from_slice(&bytes);
    Key(key)
}

fn put_optional(bytes: &mut Vec<u8>, value: Option<[u8; 8]>) {
    bytes.put_slice(value.as_slice().as_flattened());
}

fn flags([first, second, third]: [bool; 3]) -> u8 {
    u8::from(first) | u8::from(second) << 1 | u8::from(third) << 2
}

#[cfg(test)]
mod tests;
