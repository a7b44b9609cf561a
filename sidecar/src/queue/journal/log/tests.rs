//! The log on a real folder; in the modules, on one that fails.

mod crashes;
mod damage;
mod repairs;

use std::path::Path;

use super::{files::Disk, *};

const SMALL: Options = Options { segment_bytes: 4096, max_bytes: 8 * 4096 };

/// The log, and what it showed.
fn open(folder: &Path, options: Options) -> (Log<Disk>, Vec<(u64, String)>) {
    let mut shown = Vec::new();
    let log = Log::open(Disk::new(folder).unwrap(), options, |sequence, bytes| {
        shown.push((sequence.number(), String::from_utf8_lossy(bytes).into_owned()));
    });
    (log.unwrap(), shown)
}

fn text(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

#[tokio::test]
async fn what_was_appended_and_not_removed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let (log, shown) = open(folder.path(), SMALL);
    assert_eq!(shown, []);
    let first = log.append(text("on"), text("e")).unwrap();
    let second = log.append(Bytes::new(), text("two")).unwrap();
    let third = log.append(text("three"), Bytes::new()).unwrap();
    let (one, two) = (first.sequence(), second.sequence());
    assert!(one < two && two < third.sequence());
    assert_eq!(log.read(two), Ok(text("two")));
    for receipt in [first, second, third] {
        assert_eq!(receipt.await, Ok(()));
    }
    assert_eq!(log.read(one), Ok(text("one")));
    log.remove(two).unwrap();
    assert_eq!(log.read(two), Err(LogError::Gone));
    assert_eq!(log.remove(two), Err(LogError::Gone));
    let four = log.replace(one, text("fo"), text("ur")).unwrap();
    assert_eq!(four.await, Ok(()));
    log.close();
    assert_eq!(log.remove(one), Err(LogError::Closed));
    drop(log);

    let (log, shown) = open(folder.path(), SMALL);
    assert_eq!(shown, [(3, "three".to_owned()), (4, "four".to_owned())]);
    assert_eq!(log.append(text("five"), Bytes::new()).unwrap().sequence().number(), 5);
    let usage = log.usage();
    assert_eq!((usage.live_records, usage.live_bytes), (3, 13));
}

#[tokio::test]
async fn one_stuck_record_holds_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = open(folder.path(), SMALL);
    let stuck = log.append(text("stuck"), Bytes::new()).unwrap().sequence();
    for number in 0..500 {
        let receipt = log.append(text(&format!("{number:0500}")), Bytes::new()).unwrap();
        let sequence = receipt.sequence();
        receipt.await.unwrap();
        log.remove(sequence).unwrap();
    }
    assert_eq!(log.read(stuck), Ok(text("stuck")));
    assert!(log.usage().disk_bytes <= 4 * 4096, "{:?}", log.usage());
    drop(log);
    let (_log, shown) = open(folder.path(), SMALL);
    assert_eq!(shown, [(1, "stuck".to_owned())]);
}

#[tokio::test]
async fn a_full_log_refuses_and_can_be_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = open(folder.path(), SMALL);
    let mut stored = Vec::new();
    let error = loop {
        let receipt = log.append(text(&"x".repeat(100)), Bytes::new()).unwrap();
        let sequence = receipt.sequence();
        match receipt.await {
            Ok(()) => stored.push(sequence),
            Err(error) => break error,
        }
    };
    assert_eq!(error, LogError::Full);
    assert!(log.usage().disk_bytes <= SMALL.max_bytes);
    assert!(stored.len() > 100, "{}", stored.len());
    for (position, sequence) in stored.iter().enumerate() {
        // one at a time is what takes the most room
        assert_eq!(log.removed_durably(*sequence).unwrap().await, Ok(()), "{position} of {}", stored.len());
    }
    log.append(text("again"), Bytes::new()).unwrap().await.unwrap();
    assert_eq!(log.usage().live_records, 1);
    assert!(log.usage().disk_bytes <= 3 * 4096, "{:?}", log.usage());
}

#[tokio::test]
async fn records_that_come_in_one_moment_share_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (log, gatherer) = Log::open_to_gather(Disk::new(folder.path()).unwrap(), SMALL, |_, _| ()).unwrap();
    let gatherer = tokio::spawn(gatherer.run());
    for moment in 0..3 {
        let come = (0..10).map(|number| log.gather(text(&format!("{moment}.{number}")), Bytes::new()));
        let receipts: Vec<_> = come.map(Result::unwrap).collect();
        for receipt in receipts {
            assert_eq!(receipt.await, Ok(()));
        }
    }
    drop(log);
    gatherer.await.unwrap();
    let report = verify(&Disk::new(folder.path()).unwrap()).unwrap();
    // and the one at the end
    assert_eq!((report.frames, report.batches), (30, 4));
}
