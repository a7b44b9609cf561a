//! What two memories of updates share, that of synchronous delivery (`ingress::dedup`) and that of the embedded queue: by what an
//! update is known, those known, and those under way.

mod claims;
mod id;
mod index;

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use self::{
    claims::Claims,
    id::{HashKey, Id, Key},
    index::Index,
};

/// Unix time.
pub(crate) type Seconds = u32;

/// An update that is known, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) id: Id,
    pub(crate) at: Seconds,
}

/// Unix time until the year 2106.
pub(crate) fn seconds(time: SystemTime) -> Seconds {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    seconds.try_into().unwrap_or(Seconds::MAX)
}
