//! Several sidecars with one queue.

use std::sync::Arc;

use telegram_webhook_sidecar::queue::{Appended, Outcome, Queue as _};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Bench, Room, deliver_this, ensure_empty, take},
    seen::Seen,
    updates::{store, update, updates},
};

pub async fn two_sidecars_never_hold_two_of_a_lane<B: Bench>() -> anyhow::Result<()> {
    const CHATS: i64 = 12;
    const EACH: i64 = 15;
    let bench = B::start(Room::Plenty).await?;
    let queues = [Arc::new(bench.open().await?), Arc::new(bench.open().await?)];
    let all_came = CancellationToken::new();
    let seen = Seen::default();
    let takers: Vec<_> = (0..6)
        .map(|taker| {
            let (queue, seen, all_came) = (Arc::clone(&queues[taker % 2]), seen.clone(), all_came.clone());
            tokio::spawn(async move {
                while let Some(lease) = all_came.run_until_cancelled(take(&*queue)).await {
                    let lease = lease?;
                    seen.take(&lease.update);
                    tokio::task::yield_now().await;
                    let came = seen.put_down(&lease.update);
                    queue.settle(lease, Outcome::Done).await?;
                    if came == usize::try_from(CHATS * EACH)? {
                        all_came.cancel();
                    }
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for id in 0..EACH {
        for chat in 0..CHATS {
            let queue = &queues[usize::try_from((id + chat) % 2)?];
            store(&**queue, &[update(chat, CHATS * id + chat)]).await?;
        }
    }
    for taker in takers {
        taker.await??;
    }
    seen.assert_came(|chat| (0..EACH).map(|id| Some(CHATS * id + chat)).collect());
    Ok(())
}

pub async fn a_copy_that_another_sidecar_got_is_not_given_out<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queues = [bench.open().await?, bench.open().await?];
    let (first, last) = (update(7, 1), update(7, 2));
    store(&queues[0], std::slice::from_ref(&first)).await?;
    let copy = queues[1].append(first.clone()).await?;
    assert!(!B::TELLS_COPIES || copy == Appended::Duplicate);
    store(&queues[1], std::slice::from_ref(&last)).await?;
    for expected in [&first, &last] {
        tokio::select! {
            lease = take(&queues[0]) => {
                let lease = lease?;
                assert_eq!(lease.update, *expected);
                queues[0].settle(lease, Outcome::Done).await?;
            }
            lease = take(&queues[1]) => {
                let lease = lease?;
                assert_eq!(lease.update, *expected);
                queues[1].settle(lease, Outcome::Done).await?;
            }
        }
    }
    ensure_empty(&queues[0]).await
}

pub async fn a_sidecar_takes_over_from_one_that_was_killed<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let killed = bench.open().await?;
    let updates = updates(7, 4);
    store(&killed, &updates).await?;
    deliver_this(&killed, &updates[0]).await?;
    let in_hand = take(&killed).await?;
    let other = bench.open().await?;
    bench.crash(killed).await?;
    drop(in_hand);
    let again = take(&other).await?;
    assert_eq!(again.update, updates[1]);
    assert!(again.deliveries >= 1);
    other.settle(again, Outcome::Done).await?;
    for update in &updates[2..] {
        deliver_this(&other, update).await?;
    }
    ensure_empty(&other).await
}

pub async fn a_long_line_keeps_its_order_when_a_sidecar_is_closed<B: Bench>() -> anyhow::Result<()> {
    // more than one sidecar has of a lane at a time
    const COUNT: i64 = 140;
    let bench = B::start(Room::Plenty).await?;
    let closed = bench.open().await?;
    let updates = updates(7, COUNT);
    store(&closed, &updates).await?;
    deliver_this(&closed, &updates[0]).await?;
    let other = bench.open().await?;
    // it waits to take over when it has stored something
    store(&other, &[update(8, 1)]).await?;
    closed.close().await?;
    let mut given_out = Vec::new();
    while given_out.len() < updates.len() {
        let lease = take(&other).await?;
        given_out.extend(lease.update.update_id);
        other.settle(lease, Outcome::Done).await?;
    }
    given_out.retain(|id| *id != 1);
    let expected: Vec<_> = updates[1..].iter().filter_map(|update| update.update_id).collect();
    assert_eq!(given_out, expected);
    ensure_empty(&other).await
}

pub async fn a_sidecar_takes_over_from_one_that_was_closed<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let closed = bench.open().await?;
    let updates = updates(7, 3);
    store(&closed, &updates).await?;
    let in_hand = take(&closed).await?;
    let other = bench.open().await?;
    closed.close().await?;
    let again = take(&other).await?;
    assert_eq!(again.update, updates[0]);
    assert!(again.holds() && !in_hand.holds(), "one of the two");
    drop(in_hand);
    other.settle(again, Outcome::Done).await?;
    for update in &updates[1..] {
        deliver_this(&other, update).await?;
    }
    ensure_empty(&other).await
}
