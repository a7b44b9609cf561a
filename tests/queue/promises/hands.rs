//! What becomes of an update in somebody's hands.

use telegram_webhook_sidecar::queue::{Outcome, Queue as _, Reason, Selection};

use crate::{
    bench::{Bench, Room, deliver_this, ensure_empty, take_this},
    updates::{store, update, updates},
};

pub async fn what_was_dropped_comes_again_as_the_first_of_its_lane<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 3);
    store(&queue, &updates).await?;
    for deliveries in 0..3_u32 {
        let lease = take_this(&queue, &updates[0]).await?;
        assert!(lease.deliveries >= deliveries.min(1), "{} after {deliveries}", lease.deliveries);
        assert!(lease.holds());
        drop(lease);
    }
    for update in &updates {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

pub async fn what_was_in_hand_at_a_crash_comes_again<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 3);
    store(&queue, &updates).await?;
    let in_hand = take_this(&queue, &updates[0]).await?;
    bench.crash(queue).await?;
    drop(in_hand);
    let queue = bench.open().await?;
    let lease = take_this(&queue, &updates[0]).await?;
    assert!(lease.deliveries >= 1);
    queue.settle(lease, Outcome::Done).await?;
    for update in &updates[1..] {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

pub async fn what_is_done_is_gone_for_good<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 200);
    store(&queue, &updates).await?;
    for update in &updates[..150] {
        deliver_this(&queue, update).await?;
    }
    queue.close().await?;
    drop(queue);
    let queue = bench.open().await?;
    for update in &updates[150..] {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

pub async fn what_is_dead_is_set_aside_whatever_is_killed_then<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let (poison, next) = (update(7, 1), update(7, 2));
    store(&queue, &[poison.clone(), next.clone()]).await?;
    let reason = Reason::Exhausted { attempts: 12, last: "the CRM answered 500".to_owned() };
    let lease = take_this(&queue, &poison).await?;
    queue.settle(lease, Outcome::Dead(reason.clone())).await?;
    bench.crash(queue).await?;
    let queue = bench.open().await?;
    let letters = queue.dead_letters(&Selection::default(), None, 10).await?;
    let [letter] = &letters[..] else { anyhow::bail!("{} dead letters", letters.len()) };
    assert_eq!((&letter.update, &letter.reason), (&poison, &reason));
    assert!(letter.at >= poison.received_at);
    deliver_this(&queue, &next).await?;
    ensure_empty(&queue).await
}
