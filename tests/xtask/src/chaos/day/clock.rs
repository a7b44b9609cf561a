//! The sidecar's clocks, which can be put on: libfaketime is between the process and what it would be told of the time, and reads
//! from a file how far ahead of the machine's clocks its own are.
//!
//! All of them are: the time of day, and the one by which it waits for things. Between two steps the clocks go as everybody's do, so
//! that no connection, which has to do with somebody whose clock is another, is too slow for the sidecar. A wait that is due by a step
//! ends when the process wakes next, which whoever steps has to see to. One kind of wait doesn't notice steps at all: that of a thread
//! for another with a time limit. The journal's writer has one, within which it waits for more to remove.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

/// Where Debian has the libraries of each architecture.
const LIBRARIES: &str = "/usr/lib";
/// For a process of several threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

const SHARED: &str = "/dev/shm";

/// The clocks of all processes with its environment.
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
    ahead: Duration,
    /// Of all processes so far.
    pids: Vec<u32>,
}

// === impl Clock ===

impl Clock {
    /// Shows the machine's time, until it is put on.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let architectures = fs::read_dir(LIBRARIES)?.flatten();
        let mut libraries = architectures.map(|folder| folder.path().join(LIBRARY));
        let library = libraries.find(|library| library.is_file());
        let library = library.with_context(|| format!("the package libfaketime has no {LIBRARY}"))?;
        let clock = Self { library, file: folder.join("clock"), ahead: Duration::ZERO, pids: Vec::new() };
        clock.show()?;
        Ok(clock)
    }

    /// What a process needs.
    pub fn environment(&self) -> [(&'static str, OsString); 4] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            // otherwise it would look at the file every few seconds only
            ("FAKETIME_NO_CACHE", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }

    /// A process was started with its environment.
    pub fn shown_to(&mut self, pid: Option<u32>) {
        self.pids.extend(pid);
    }

    pub fn put_on(&mut self, by: Duration) -> anyhow::Result<()> {
        self.ahead += by;
        self.show()
    }

    /// In one step, as it is read at any time.
    fn show(&self) -> anyhow::Result<()> {
        let next = self.file.with_extension("next");
        fs::write(&next, format!("+{}", self.ahead.as_secs_f64()))?;
        fs::rename(next, &self.file).context("put the clock on")
    }
}

impl Drop for Clock {
    /// The library leaves what it shares with children behind.
    fn drop(&mut self) {
        for pid in &self.pids {
            for name in ["faketime_shm_", "sem.faketime_sem_"] {
                fs::remove_file(format!("{SHARED}/{name}{pid}")).ok();
            }
        }
    }
}
