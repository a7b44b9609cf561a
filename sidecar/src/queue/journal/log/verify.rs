//! Reads a log as opening it would, and changes nothing.

use super::{
    OpenError,
    files::Files,
    recovery::{self, Replay},
    repair::REPAIR,
};

/// What is in a log.
#[derive(Debug, Default)]
pub struct Report {
    pub segments: u64,
    pub batches: u64,
    pub frames: u64,
    /// As far as it could be read.
    pub live_records: u64,
    pub live_bytes: u64,
    /// Segment and byte where something begins that a crash interrupted, which opening the log cuts.
    pub unfinished: Option<(u64, u64)>,
    /// Why it can't be opened: the first reason.
    pub problem: Option<OpenError>,
}

/// Says what a log holds, and the first thing that is wrong with it.
pub fn verify<F: Files>(files: &F) -> Result<Report, OpenError> {
    let lock = files.lock().map_err(|error| OpenError::Io { action: "lock", error })?;
    let _lock = lock.ok_or(OpenError::InUse)?;
    let names = files.list().map_err(|error| OpenError::Io { action: "list", error })?;
    let mut report = Report::default();
    if names.iter().any(|name| name.starts_with(REPAIR)) {
        report.problem = Some(OpenError::Repair);
        return Ok(report);
    }
    let segments = match recovery::numbers(&names).and_then(|numbers| recovery::open(files, &numbers)) {
        Ok(segments) => segments,
        Err(problem) => {
            report.problem = Some(problem);
            return Ok(report);
        }
    };
    let mut replay = Replay::new(segments.first().map_or(1, |segment| segment.number));
    report.problem = replay.run(&segments).err();
    report.segments = segments.len() as u64;
    (report.batches, report.frames) = (replay.batches, replay.frames);
    (report.live_records, report.live_bytes) = (replay.index.live_records(), replay.index.live_bytes());
    report.unfinished = replay.unfinished.then_some((replay.end.segment, replay.end.offset));
    Ok(report)
}
