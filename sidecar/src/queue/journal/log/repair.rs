//! Saves what is intact in a damaged log: a new log takes its place, and the old files are kept aside.
//!
//! The new log is written and synced in a folder of its own. Then a marker says that files are being exchanged: `repair-out` while the old
//! ones are moved out, `repair-in` while the new ones are moved in. As long as there is one the log isn't opened, and repairing goes on where it was.

mod rebuild;
mod salvage;

use std::{fs, io, path::Path, time::SystemTime};

use super::{
    OpenError, Options,
    files::{Disk, Files as _},
    segment, verify,
};
use crate::queue::millis;

/// What the names of the markers begin with.
pub(super) const REPAIR: &str = "repair-";
const MOVING_OUT: &str = "repair-out";
const MOVING_IN: &str = "repair-in";
/// Where the new log is written.
const NEW: &str = "new";
const DAMAGED: &str = "damaged-";

/// What came of a repair.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Live records that were saved.
    pub records: u64,
    /// What isn't as it was written, records or not: segment, first byte, byte behind it. The end of a crash is among it.
    pub lost: Vec<(u64, u64, u64)>,
    /// Name of the folder that has the old files; None if nothing was wrong and nothing was changed.
    pub kept_in: Option<String>,
}

/// Why a log couldn't be repaired. Nothing is lost by that.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("failed to {action}: {error}")]
    Io { action: &'static str, error: io::Error },
}

/// Repairs the log of a folder, if it needs that. No sidecar may be using it.
pub fn repair(folder: &Path, options: Options, now: SystemTime) -> Result<Repaired, RepairError> {
    let io = |action| move |error| RepairError::Io { action, error };
    options.check()?;
    let files = Disk::new(folder).map_err(io("open the folder"))?;
    let names = files.list().map_err(io("list the files"))?;
    if !names.iter().any(|name| name.starts_with(REPAIR)) {
        match verify(&files)?.problem {
            None => return Ok(Repaired::default()),
            // a disk that can't be read is not repaired by reading it
            Some(error @ OpenError::Io { .. }) => return Err(error.into()),
            Some(_) => {}
        }
    }
    let lock = files.lock().map_err(io("lock the folder"))?;
    let _lock = lock.ok_or(OpenError::InUse)?;
    let mut repaired = Repaired::default();
    if !names.iter().any(|name| name.starts_with(REPAIR)) {
        let saved = salvage::salvage(&files, &names).map_err(io("read the old files"))?;
        remove_folder(&folder.join(NEW)).map_err(io("make room for the new files"))?;
        let new = Disk::new(&folder.join(NEW)).map_err(io("make room for the new files"))?;
        rebuild::rebuild(&new, options, &saved).map_err(io("write the new files"))?;
        repaired = Repaired { records: saved.index.live_records(), lost: saved.lost, kept_in: None };
        let kept_in = format!("{DAMAGED}{}", millis(now) / 1000);
        write_marker(folder, &kept_in).map_err(io("say that files are moved"))?;
    }
    repaired.kept_in = Some(exchange(folder, &files).map_err(io("exchange the files"))?);
    Ok(repaired)
}

/// Which folder the old files go to is as durable as that they go.
fn write_marker(folder: &Path, kept_in: &str) -> io::Result<()> {
    let unfinished = folder.join(format!("marker{}", segment::UNFINISHED));
    fs::write(&unfinished, kept_in)?;
    fs::File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, folder.join(MOVING_OUT))?;
    fs::File::open(folder)?.sync_all()
}

/// Moves the old segments out and the new ones in; goes on where it was.
fn exchange(folder: &Path, files: &Disk) -> io::Result<String> {
    let (out, into) = (folder.join(MOVING_OUT), folder.join(MOVING_IN));
    let kept_in = fs::read_to_string(if out.exists() { &out } else { &into })?;
    if out.exists() {
        // our own file, but anybody may have written it
        if kept_in.strip_prefix(DAMAGED).is_none_or(|time| time.parse::<u64>().is_err()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        move_segments(folder, &folder.join(&kept_in))?;
        fs::rename(&out, &into)?;
        files.sync_folder()?;
    }
    move_segments(&folder.join(NEW), folder)?;
    remove_folder(&folder.join(NEW))?;
    fs::remove_file(&into)?;
    files.sync_folder()?;
    Ok(kept_in)
}

fn move_segments(from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = (Disk::new(from)?, Disk::new(to)?);
    for name in source.list()?.iter().filter(|name| segment::number(name).is_some()) {
        fs::rename(from.join(name), to.join(name))?;
    }
    target.sync_folder()?;
    source.sync_folder()
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
