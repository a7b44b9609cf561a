//! Saving what is left of a damaged log.

use std::{fs, path::PathBuf, time::UNIX_EPOCH};

use super::*;

/// A log of forty records of which the second is removed.
async fn written(folder: &Path) {
    let (log, _) = open(folder, SMALL);
    for number in 0..40 {
        log.append(text("record "), text(&format!("{number:0200}"))).unwrap().await.unwrap();
    }
    log.removed_durably(Sequence(2)).unwrap().await.unwrap();
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "segment")).collect();
    paths.sort();
    paths
}

fn flip(segment: &Path, position: usize) {
    let mut bytes = fs::read(segment).unwrap();
    bytes[position] ^= 1;
    fs::write(segment, bytes).unwrap();
}

fn problem(folder: &Path) -> Option<OpenError> {
    let report = verify(&Disk::new(folder).unwrap()).unwrap();
    report.problem
}

fn opened(folder: &Path) -> Result<Log<Disk>, OpenError> {
    let disk = Disk::new(folder).map_err(|error| OpenError::Io { action: "open", error })?;
    Log::open(disk, SMALL, |_, _| {})
}

#[tokio::test]
async fn a_sound_log_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path()).await;
    let report = verify(&Disk::new(folder.path()).unwrap()).unwrap();
    assert!(report.problem.is_none() && report.unfinished.is_none(), "{report:?}");
    assert_eq!((report.segments, report.batches, report.frames, report.live_records), (5, 42, 41, 39));
    let before = segments(folder.path());
    assert_eq!(repair(folder.path(), SMALL, UNIX_EPOCH).unwrap(), Repaired::default());
    assert_eq!(segments(folder.path()), before);
}

#[tokio::test]
async fn all_but_the_damaged_record_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    written(folder).await;
    let first = &segments(folder)[0];
    // in the second batch's record, and in the fifth batch's header
    let batch = 48 + 24 + 208;
    flip(first, 512 + batch + 100);
    flip(first, 512 + 4 * batch + 9);
    let Some(OpenError::Corrupt { segment: 1, offset, .. }) = problem(folder) else { panic!("not noticed") };
    assert_eq!(offset, 512 + batch as u64);
    assert!(matches!(opened(folder), Err(OpenError::Corrupt { .. })));

    let repaired = repair(folder, SMALL, UNIX_EPOCH + std::time::Duration::from_secs(77)).unwrap();
    assert_eq!((repaired.records, repaired.kept_in.as_deref()), (39, Some("damaged-77")));
    assert_eq!(repaired.lost.len(), 2, "{:?}", repaired.lost);
    assert_eq!(segments(&folder.join("damaged-77")).len(), 5);
    let (log, shown) = open(folder, SMALL);
    let sequences: Vec<_> = shown.iter().map(|(sequence, _)| *sequence).collect();
    let expected: Vec<u64> = (1..=40).filter(|sequence| *sequence != 2).collect();
    assert_eq!(sequences, expected);
    assert_eq!(shown[0].1, format!("record {:0200}", 0));
    assert_eq!(log.append(text("more"), Bytes::new()).unwrap().sequence(), Sequence(41));
}

#[tokio::test]
async fn a_segment_whose_header_is_damaged_loses_only_its_own_records() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path()).await;
    flip(&segments(folder.path())[1], 20);
    assert!(matches!(opened(folder.path()), Err(OpenError::Corrupt { segment: 2, offset: 0, .. })));
    let repaired = repair(folder.path(), SMALL, UNIX_EPOCH).unwrap();
    assert!(repaired.records > 20 && repaired.records < 39, "{repaired:?}");
    let (_log, shown) = open(folder.path(), SMALL);
    assert_eq!(shown.len() as u64, repaired.records);
}

#[tokio::test]
async fn a_repair_goes_on_where_it_was_interrupted() {
    for is_moving_in in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        // the new log is written, and some files are where they belong
        let new = folder.join("new");
        written(&new).await;
        let moved = if is_moving_in {
            folder.to_owned()
        } else {
            written(folder).await;
            folder.join("damaged-5")
        };
        fs::create_dir_all(&moved).unwrap();
        let from = if is_moving_in { &new } else { folder };
        let first = segments(from).remove(0);
        fs::rename(&first, moved.join(first.file_name().unwrap())).unwrap();
        let marker = if is_moving_in { "repair-in" } else { "repair-out" };
        fs::write(folder.join(marker), "damaged-5").unwrap();

        assert!(matches!(opened(folder), Err(OpenError::Repair)));
        assert!(matches!(problem(folder), Some(OpenError::Repair)));
        let repaired = repair(folder, SMALL, UNIX_EPOCH).unwrap();
        assert_eq!(repaired.kept_in.as_deref(), Some("damaged-5"));
        let (_log, shown) = open(folder, SMALL);
        assert_eq!(shown.len(), 39);
        assert!(!new.exists());
    }
}
