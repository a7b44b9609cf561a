//! Order within a lane, independence between lanes.

use std::sync::Arc;

use telegram_webhook_sidecar::queue::{Lane, Outcome, Queue as _};

use crate::{
    bench::{Bench, Room, deliver_this, ensure_empty, take, take_this},
    seen::Seen,
    updates::{store, update, updates},
};

pub async fn a_lane_keeps_its_order<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    // ids that jump down are no other order than that of coming
    let mut updates: Vec<_> = [9, 3, 2_000_000_000, 4, 1].map(|id| update(7, id)).into();
    store(&queue, &updates).await?;
    deliver_this(&queue, &updates.remove(0)).await?;
    let later = update(7, 2);
    store(&queue, std::slice::from_ref(&later)).await?;
    updates.push(later);
    for update in &updates {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

pub async fn a_lane_keeps_its_order_over_a_crash<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let mut queue = bench.open().await?;
    let updates = updates(7, 12);
    for stored in updates.chunks(4) {
        store(&queue, stored).await?;
        bench.crash(queue).await?;
        queue = bench.open().await?;
    }
    for update in &updates {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

pub async fn lanes_do_not_wait_for_each_other<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let slow = updates(7, 3);
    store(&queue, &slow).await?;
    let in_hand = take_this(&queue, &slow[0]).await?;
    // another family with the same id is another lane as well
    let mut pressed = update(7, 50);
    pressed.lane = Lane { family: 3, id: 7 };
    for other in [pressed, update(8, 51), update(8, 52), update(-7, 53)] {
        store(&queue, std::slice::from_ref(&other)).await?;
        deliver_this(&queue, &other).await?;
    }
    queue.settle(in_hand, Outcome::Done).await?;
    for update in &slow[1..] {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

/// Only nearly so where lanes are spread over several places, hence of those that were all there before anybody asked.
pub async fn the_lane_of_the_oldest_comes_first<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates: Vec<_> =
        [5, 5, 3, 5, 3, 9].into_iter().zip(1..).map(|(chat, id)| update(chat, id)).collect();
    store(&queue, &updates).await?;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(take(&queue).await?);
    }
    let mut first: Vec<_> = leases.iter().map(|lease| lease.update.update_id).collect();
    if B::ONE_PLACE {
        assert_eq!(first, [Some(1), Some(3), Some(6)]);
    }
    first.sort_unstable();
    assert_eq!(first, [Some(1), Some(3), Some(6)]);
    Ok(())
}

pub async fn of_a_lane_one_at_most_is_in_hand<B: Bench>() -> anyhow::Result<()> {
    const CHATS: i64 = 10;
    const EACH: i64 = 20;
    let bench = B::start(Room::Plenty).await?;
    let queue = Arc::new(bench.open().await?);
    for id in 0..EACH {
        for chat in 0..CHATS {
            store(&*queue, &[update(chat, CHATS * id + chat)]).await?;
        }
    }
    let seen = Seen::default();
    let takers: Vec<_> = (0..8)
        .map(|_| {
            let (queue, seen) = (Arc::clone(&queue), seen.clone());
            tokio::spawn(async move {
                for _ in 0..CHATS * EACH / 8 {
                    let lease = take(&*queue).await?;
                    seen.take(&lease.update);
                    tokio::task::yield_now().await;
                    seen.put_down(&lease.update);
                    queue.settle(lease, Outcome::Done).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for taker in takers {
        taker.await??;
    }
    seen.assert_came(|chat| (0..EACH).map(|id| Some(CHATS * id + chat)).collect());
    ensure_empty(&*queue).await
}
