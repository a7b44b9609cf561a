//! Records on their way to the disk.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::LogError;

pub(in super::super) type Done = oneshot::Sender<Result<(), LogError>>;

/// When a record is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Haste {
    Now,
    /// When no more come.
    Gather,
}

/// A record on its way.
#[derive(Debug, Clone)]
pub(in super::super) struct Record {
    pub sequence: u64,
    pub crc: u32,
    pub length: u32,
    pub head: Bytes,
    pub body: Bytes,
}

pub(in super::super) struct Waiting {
    pub record: Record,
    /// What is removed with it.
    pub replaces: Option<u64>,
    pub done: Done,
}

// === impl Record ===

impl Record {
    pub(super) fn payload(&self) -> Bytes {
        let Self { head, body, .. } = self;
        if head.is_empty() { body.clone() } else { [&head[..], body].concat().into() }
    }
}
