//! What only the embedded queue promises; what every queue does is in the package of tests, `tests/queue`.

mod disk;
mod memory;
mod moves;

use std::{fs, time::Duration};

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::queue::{Lane, RETENTION};

const BOT: i64 = 123_456;
const NOW: u64 = 1_800_000_000_000;

fn update(chat: i64, id: i64) -> Update {
    let body = format!(
        r#"{{"update_id":{id},"message":{{"message_id":1,"date":1,"chat":{{"id":{chat},"type":"private"}}}}}}"#
    );
    Update {
        update_id: Some(id),
        lane: Lane { family: 0, id: chat },
        received_at: from_millis(NOW),
        expires_at: None,
        body: Bytes::from(body),
    }
}

/// Opens the queue in a folder so much later than the first time.
async fn open(dir: &TempDir, later: Duration) -> Journal {
    open_with(dir, 64 << 20, later).await.unwrap()
}

async fn open_with(dir: &TempDir, max_bytes: u64, later: Duration) -> Result<Journal, OpenError> {
    let clock = Clock::at(from_millis(NOW) + later);
    Journal::open(dir.path(), BOT, Options { max_bytes }, clock).await
}

async fn deliver(journal: &Journal) -> Update {
    let lease = journal.next().await.unwrap();
    let update = lease.update.clone();
    journal.settle(lease, Outcome::Done).await.unwrap();
    update
}

/// Copies what a killed process leaves.
fn left(dir: &TempDir) -> TempDir {
    let left = tempfile::tempdir().unwrap();
    for log in ["queue", "dead"] {
        fs::create_dir(left.path().join(log)).unwrap();
        for entry in fs::read_dir(dir.path().join(log)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), left.path().join(log).join(entry.file_name())).unwrap();
        }
    }
    left
}
