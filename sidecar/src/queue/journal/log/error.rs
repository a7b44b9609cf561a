//! What a log says when it doesn't do what it was asked.

use super::{MIN_SEGMENT_BYTES, MIN_SEGMENTS};

/// Why the log didn't do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Nothing was stored. There is room again when records are removed.
    #[error("the log is full")]
    Full,
    #[error("the record is longer than a segment of the log")]
    TooLong,
    /// It was removed, or never stored.
    #[error("the log has no such record")]
    Gone,
    /// Nothing can be stored or trusted any more.
    #[error("the log is broken: {0}")]
    Broken(String),
    #[error("the log is closed")]
    Closed,
}

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the log is in use by another process")]
    InUse,
    #[error(
        "maxBytes must be at least {MIN_SEGMENTS} segments of at least {MIN_SEGMENT_BYTES} and below 4294967296 bytes"
    )]
    Options,
    #[error("a repair of the log was interrupted: run it again")]
    Repair,
    /// Something that was durable is not as it was written.
    #[error("segment {segment} of the log is damaged at byte {offset}: {reason}")]
    Corrupt { segment: u64, offset: u64, reason: &'static str },
    #[error("{action} a file of the log: {error}")]
    Io { action: &'static str, error: std::io::Error },
}
