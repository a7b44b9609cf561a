//! What is known, for how long, and how often an update was given out.

use super::*;

#[tokio::test]
async fn what_was_stored_is_known_for_a_day_at_least_and_no_longer_than_needed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    for id in 0..3 {
        journal.append(update(7, id)).await.unwrap();
    }
    deliver(&journal).await;
    let lease = journal.next().await.unwrap();
    journal.settle(lease, Outcome::Dead(Reason::Refused(400))).await.unwrap();
    journal.close().await.unwrap();
    let day = Duration::from_hours(24);
    for (later, known) in [(day, true), (RETENTION + day, false)] {
        let left = left(&dir);
        let journal = open(&left, later).await;
        for id in 0..3 {
            let expected = if known { Appended::Duplicate } else { Appended::Stored };
            assert_eq!(journal.append(update(7, id)).await, Ok(expected), "{id} {later:?}");
        }
    }
}

/// Stores so many at once, which are all new.
async fn append_together(journal: &Journal, ids: std::ops::Range<i64>) {
    let appended = futures::future::join_all(ids.map(|id| journal.append(update(id % 50, id)))).await;
    assert!(appended.iter().all(|appended| *appended == Ok(Appended::Stored)));
}

#[tokio::test]
async fn what_was_settled_takes_little_room_and_none_when_it_is_old() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    let live = |journal: &Journal| journal.shared.queue.usage();
    for first in (0..6_000).step_by(100) {
        append_together(&journal, first..first + 100).await;
        for _ in 0..100 {
            deliver(&journal).await;
        }
    }
    journal.close().await.unwrap();
    let (records, bytes) = (live(&journal).live_records, live(&journal).live_bytes);
    assert!(records < 100, "{records}");
    assert!((16 * 6_000..18 * 6_000).contains(&bytes), "{bytes}");

    let journal = open(&dir, RETENTION / 2).await;
    for id in [0, 3_000, 5_999] {
        assert_eq!(journal.append(update(id % 50, id)).await, Ok(Appended::Duplicate));
    }
    journal.close().await.unwrap();

    let journal = open(&dir, 2 * RETENTION).await;
    append_together(&journal, 0..200).await;
    for _ in 0..200 {
        deliver(&journal).await;
    }
    journal.close().await.unwrap();
    let bytes = live(&journal).live_bytes;
    assert!(bytes < 40_000, "{bytes}");
}

#[tokio::test]
async fn what_is_settled_while_the_queue_is_full_stays_known() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_with(&dir, 256 << 10, Duration::ZERO).await.unwrap();
    let mut count = 0;
    while journal.append(update(7, count)).await.is_ok() {
        count += 1;
    }
    for _ in 0..count {
        deliver(&journal).await;
    }
    journal.close().await.unwrap();
    let journal = open_with(&dir, 256 << 10, Duration::ZERO).await.unwrap();
    for id in 0..count {
        assert_eq!(journal.append(update(7, id)).await, Ok(Appended::Duplicate), "{id} of {count}");
    }
}

#[tokio::test]
async fn a_queue_closed_in_order_knows_how_often_an_update_was_given_out() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    for id in 0..4 {
        journal.append(update(id, id)).await.unwrap();
    }
    drop(journal.next().await.unwrap());
    drop(journal.next().await.unwrap());
    let _in_hand = [journal.next().await.unwrap(), journal.next().await.unwrap()];
    journal.close().await.unwrap();
    let killed = left(&dir);
    for (dir, expected) in [(dir, [3, 1, 0, 0]), (killed, [1; 4])] {
        let journal = open(&dir, Duration::ZERO).await;
        let mut leases = Vec::new();
        for expected in expected {
            let lease = journal.next().await.unwrap();
            assert_eq!(lease.deliveries, expected, "{:?}", lease.update.update_id);
            leases.push(lease);
        }
    }
}

#[tokio::test]
async fn an_update_whose_sender_has_gone_is_stored_and_given_out_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir, Duration::ZERO).await;
    for id in 0..5 {
        {
            let mut appending = Box::pin(journal.append(update(7, id)));
            assert!(futures::poll!(&mut appending).is_pending());
        }
        assert_eq!(journal.append(update(7, id)).await, Ok(Appended::Duplicate));
        assert_eq!(deliver(&journal).await, update(7, id));
    }
}

#[tokio::test]
async fn a_clock_that_was_ahead_makes_nothing_be_forgotten_early() {
    let dir = tempfile::tempdir().unwrap();
    for (later, id) in [(Duration::ZERO, 1), (2 * RETENTION, 2), (Duration::from_secs(1), 3)] {
        let journal = open(&dir, later).await;
        journal.append(update(7, id)).await.unwrap();
        deliver(&journal).await;
        journal.close().await.unwrap();
    }
    let journal = open(&dir, Duration::from_secs(2)).await;
    for id in 1..4 {
        assert_eq!(journal.append(update(7, id)).await, Ok(Appended::Duplicate), "{id}");
    }
}

#[test]
fn who_stores_an_update_when_the_runtime_ends_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let journal = Arc::new(runtime.block_on(open(&dir, Duration::ZERO)));
    let storing = Arc::clone(&journal);
    runtime.block_on(async {
        tokio::spawn(async move { storing.append(update(7, 1)).await });
        tokio::task::yield_now().await;
    });
    assert_eq!(journal.depth_now().updates, 1);
    drop(runtime);
    drop(journal);
}
