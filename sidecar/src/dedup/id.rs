//! What an update is known by: a hash of its bot and its bytes under a secret key.
//!
//! A hash that anybody could compute would have to be one for which nobody finds two updates with the same value, and such a one is
//! slow. Here whoever writes to the bot knows neither the key nor any hash, and learns only whether two updates were taken for one.
//! To have another's update taken for a duplicate he would have to foresee all its bytes, the `update_id` too, which Telegram
//! chooses, and also to hit upon one of the same hash. HighwayHash is made for input that is chosen with intent: nothing better is
//! known against it than to guess among 2^128.

use highway::{HighwayHash as _, HighwayHasher, Key as HighwayKey};

/// Names an update of a bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) bot: i64,
    pub(crate) key: Key,
}

/// The hash; it covers the bot too. Made of bytes, so that it takes no room to be aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) [[u8; 8]; 2]);

/// The secret of the hash, as long-lived as the hashes that are stored.
#[derive(Clone, Copy)]
pub(crate) struct HashKey(HighwayKey);

// === impl HashKey ===

impl HashKey {
    pub(crate) fn draw() -> Result<Self, getrandom::Error> {
        let mut bytes = [[0; 8]; 4];
        getrandom::fill(bytes.as_flattened_mut())?;
        Ok(Self::from_bytes(bytes))
    }

    pub(crate) fn from_bytes(bytes: [[u8; 8]; 4]) -> Self {
        Self(HighwayKey(bytes.map(u64::from_le_bytes)))
    }

    pub(crate) fn to_bytes(self) -> [[u8; 8]; 4] {
        self.0.0.map(u64::to_le_bytes)
    }

    /// The body holds the update's id, so that its hash covers that too.
    pub(crate) fn id(&self, bot: i64, body: &[u8]) -> Id {
        let mut hasher = HighwayHasher::new(self.0);
        hasher.append(&bot.to_le_bytes());
        hasher.append(body);
        Id { bot, key: Key(hasher.finalize128().map(u64::to_le_bytes)) }
    }
}

// === impl Key ===

impl Key {
    /// Its place in a hash table: it is a hash already, and one that strangers can't choose.
    pub(crate) fn place(&self) -> u64 {
        let Self([low, _]) = self;
        u64::from_le_bytes(*low)
    }
}
