//! What is wrong with the files.

use super::{
    log::{Log, files::Disk},
    *,
};

#[tokio::test]
async fn a_folder_is_for_one_sidecar_and_free_when_that_has_closed_it() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    journal.append(update(7, 1)).await.unwrap();
    let lease = journal.next().await.unwrap();
    let error = open_with(&dir, 64 << 20, Duration::ZERO).await.err().unwrap().to_string();
    assert!(error.contains("--state-dir") && error.contains("in use by another process"), "{error}");
    journal.close().await.unwrap();
    open(&dir, Duration::ZERO).await;
    drop((journal, lease));
}

#[tokio::test]
async fn a_folder_that_can_not_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("queue"), "").unwrap();
    let error = open_with(&dir, 64 << 20, Duration::ZERO).await.err().unwrap().to_string();
    assert!(error.contains("--state-dir") && error.contains("/queue"), "{error}");
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    journal.close().await.unwrap();
    for name in ["dead", "queue"] {
        let copy = left(&dir);
        let disk = Disk::new(&copy.path().join(name)).unwrap();
        let log = Log::open(disk, log::Options::default(), |_, _| ()).unwrap();
        log.append(Bytes::from_static(b"\x63newer"), Bytes::new()).unwrap().await.unwrap();
        log.close();
        let error = open_with(&copy, 64 << 20, Duration::ZERO).await.err().unwrap().to_string();
        assert!(error.contains(name) && error.contains("newer version"), "{error}");
    }
}

#[tokio::test]
async fn a_queue_that_can_not_be_read_is_broken_and_gives_nothing_out() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    journal.append(update(7, 1)).await.unwrap();
    journal.close().await.unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    for entry in fs::read_dir(dir.path().join("queue")).unwrap() {
        fs::OpenOptions::new().write(true).open(entry.unwrap().path()).unwrap().set_len(0).unwrap();
    }
    assert!(matches!(journal.next().await, Err(QueueError::Broken(_))));
    assert!(matches!(journal.depth().await, Err(QueueError::Broken(_))));
    assert!(matches!(journal.append(update(8, 2)).await, Err(QueueError::Broken(_))));
    assert!(matches!(journal.next().await, Err(QueueError::Broken(_))));
    assert!(matches!(journal.close().await, Err(QueueError::Broken(_))));
}

#[tokio::test]
async fn an_update_longer_than_the_queue_can_hold_or_set_aside_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: 4 << 20 };
    let journal = open_with(&dir, options.max_bytes, Duration::ZERO).await.unwrap();
    let of_length = |length| Update { body: vec![b'x'; length].into(), ..update(7, 1) };
    let longest = of_length(options.longest_body());
    assert_eq!(journal.append(longest.clone()).await, Ok(Appended::Stored));
    let lease = journal.next().await.unwrap();
    let last = "x".repeat(1024);
    journal.settle(lease, Outcome::Dead(Reason::Exhausted { attempts: 1, last })).await.unwrap();
    let longer = of_length(options.longest_body() + 1);
    assert!(matches!(journal.append(longer).await, Err(QueueError::Full(_))));
}
