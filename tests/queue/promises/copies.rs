//! An update that comes again is given out once.
//!
//! A second copy is looked for by storing another update of its lane behind it: when that one comes, the copy doesn't any more.

use std::sync::Arc;

use telegram_webhook_sidecar::queue::{Appended, Outcome, Queue, Reason, Update};

use crate::{
    bench::{Bench, Room, deliver_this, ensure_empty, take, take_this},
    updates::{store, update, with_text},
};

/// Stores a copy of what is known.
async fn store_copy<B: Bench>(queue: &B::Queue, copy: &Update) -> anyhow::Result<()> {
    let appended = queue.append(copy.clone()).await?;
    assert!(!B::TELLS_COPIES || appended == Appended::Duplicate);
    Ok(())
}

pub async fn a_copy_is_not_given_out<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let (first, last) = (update(7, 1), update(7, 2));
    store(&queue, std::slice::from_ref(&first)).await?;
    // received later, it is the same update all the same
    let mut copy = first.clone();
    copy.received_at += std::time::Duration::from_mins(1);
    store_copy::<B>(&queue, &copy).await?;
    let lease = take_this(&queue, &first).await?;
    store_copy::<B>(&queue, &copy).await?;
    queue.settle(lease, Outcome::Done).await?;
    store_copy::<B>(&queue, &copy).await?;
    store(&queue, std::slice::from_ref(&last)).await?;
    deliver_this(&queue, &last).await?;
    ensure_empty(&queue).await
}

pub async fn of_copies_at_the_same_moment_one_is_given_out<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = Arc::new(bench.open().await?);
    for id in (0..20).step_by(2) {
        let (first, last) = (update(7, id), update(7, id + 1));
        let copies: Vec<_> = (0..6)
            .map(|_| {
                let (queue, copy) = (Arc::clone(&queue), first.clone());
                tokio::spawn(async move { queue.append(copy).await })
            })
            .collect();
        let mut stored = 0;
        for copy in copies {
            stored += usize::from(copy.await?? == Appended::Stored);
        }
        assert!(stored == 1 || !B::TELLS_COPIES && stored > 0, "{stored} copies were stored");
        store(&*queue, std::slice::from_ref(&last)).await?;
        deliver_this(&*queue, &first).await?;
        deliver_this(&*queue, &last).await?;
    }
    ensure_empty(&*queue).await
}

pub async fn what_was_stored_is_known_after_a_crash<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let (first, last) = (update(7, 1), update(7, 2));
    store(&queue, std::slice::from_ref(&first)).await?;
    bench.crash(queue).await?;
    let queue = bench.open().await?;
    store_copy::<B>(&queue, &first).await?;
    store(&queue, std::slice::from_ref(&last)).await?;
    deliver_this(&queue, &first).await?;
    deliver_this(&queue, &last).await?;
    ensure_empty(&queue).await
}

/// So many that no queue can keep them all in the place in which it keeps what waits.
pub async fn what_was_delivered_stays_known<B: Bench>() -> anyhow::Result<()> {
    const COUNT: i64 = 600;
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    for id in 0..COUNT {
        let update = update(7, id);
        store(&queue, std::slice::from_ref(&update)).await?;
        deliver_this(&queue, &update).await?;
    }
    queue.close().await?;
    drop(queue);
    let queue = bench.open().await?;
    for id in (0..COUNT).step_by(7) {
        store_copy::<B>(&queue, &update(7, id)).await?;
    }
    bench.crash(queue).await?;
    let queue = bench.open().await?;
    for id in (0..COUNT).step_by(5) {
        store_copy::<B>(&queue, &update(7, id)).await?;
    }
    let last = update(7, COUNT);
    store(&queue, std::slice::from_ref(&last)).await?;
    deliver_this(&queue, &last).await?;
    ensure_empty(&queue).await
}

pub async fn what_was_set_aside_stays_known<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let (dead, buried, last) = (update(7, 1), update(7, 2), update(7, 3));
    store(&queue, std::slice::from_ref(&dead)).await?;
    let lease = take(&queue).await?;
    queue.settle(lease, Outcome::Dead(Reason::Refused(422))).await?;
    let reason = Reason::Malformed("is not JSON".to_owned());
    assert_eq!(queue.bury(buried.clone(), reason.clone()).await?, Appended::Stored);
    store_copy::<B>(&queue, &dead).await?;
    store_copy::<B>(&queue, &buried).await?;
    bench.crash(queue).await?;
    let queue = bench.open().await?;
    store_copy::<B>(&queue, &dead).await?;
    store_copy::<B>(&queue, &buried).await?;
    let again = queue.bury(buried, reason).await?;
    assert!(!B::TELLS_COPIES || again == Appended::Duplicate);
    store(&queue, std::slice::from_ref(&last)).await?;
    deliver_this(&queue, &last).await?;
    ensure_empty(&queue).await
}

pub async fn another_body_or_a_lower_id_is_another_update<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = [update(7, 2_000_000_000), update(7, 5), with_text(7, 5, "another"), update(7, 4)];
    store(&queue, &updates).await?;
    for update in &updates {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}
