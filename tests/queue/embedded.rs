//! The embedded queue on the real disk.

use std::{fs, path::Path, sync::Mutex};

use telegram_webhook_sidecar::queue::{
    Clock,
    journal::{Journal, Options},
};
use tempfile::TempDir;

use crate::{
    bench::{Bench, Room},
    every_promise, promised,
    seen::locked,
};

const BOT_ID: i64 = 123_456;

/// The folder of a bot, another one after each crash.
struct Folder {
    room: Room,
    dir: Mutex<TempDir>,
}

every_promise!(Folder);

impl Bench for Folder {
    type Queue = Journal;

    async fn start(room: Room) -> anyhow::Result<Self> {
        Ok(Self { room, dir: Mutex::new(tempfile::tempdir()?) })
    }

    async fn open(&self) -> anyhow::Result<Journal> {
        let dir = locked(&self.dir).path().join(BOT_ID.to_string());
        let max_bytes = match self.room {
            Room::Plenty => 128 << 20,
            Room::Little => 256 << 10,
        };
        Ok(Journal::open(&dir, BOT_ID, Options { max_bytes }, Clock::new()).await?)
    }

    /// What a process leaves that is killed is what its files are at that moment.
    async fn crash(&self, queue: Journal) -> anyhow::Result<()> {
        let left = tempfile::tempdir()?;
        copy(locked(&self.dir).path(), left.path())?;
        drop(queue);
        *locked(&self.dir) = left;
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
