//! A small disk of its own for the state, that somebody fills and frees by turns.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use telegram_webhook_tests::cluster::command;
use tempfile::TempDir;

/// In MiB: several segments of a journal.
const SIZE: u64 = 96;
/// What the filler may leave free at most: more than a segment.
pub const MAX_LEFT: u64 = 24 << 20;
/// Written at a time.
const PIECE: usize = 1 << 20;

/// A file system in memory; unmounted with the value.
pub struct Disk {
    folder: TempDir,
    full: bool,
}

// === impl Disk ===

impl Disk {
    pub async fn mount() -> anyhow::Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "a disk to fill is mounted by root only");
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_str().context("the folder for temporary files is not UTF-8")?;
        command::run("mount", &["-t", "tmpfs", "-o", &format!("size={SIZE}m"), "tgwh-chaos", path]).await?;
        Ok(Self { folder, full: false })
    }

    /// The folder for the state.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Leaves so many bytes free.
    pub fn fill(&mut self, left: u64) -> anyhow::Result<()> {
        self.full = true;
        let mut filler = File::create(self.filler())?;
        let piece = vec![0; PIECE];
        loop {
            match filler.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                Err(error) => return Err(error).context("fill the disk"),
            }
        }
        let length = filler.metadata()?.len();
        Ok(filler.set_len(length.saturating_sub(left))?)
    }

    pub fn free(&mut self) -> anyhow::Result<()> {
        self.full = false;
        fs::remove_file(self.filler()).context("free the disk")
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.folder.path());
    }
}

/// Lazily: a process that was just killed may still be there.
fn unmount(folder: &Path) {
    let unmounted = std::process::Command::new("umount").arg("--lazy").arg(folder).status();
    if !unmounted.is_ok_and(|status| status.success()) {
        eprintln!("{} stays mounted", folder.display());
    }
}
