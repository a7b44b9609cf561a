//! What is stored comes out again, whole and once, whoever waits.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::poll;
use telegram_webhook_sidecar::queue::{Outcome, Queue as _, Reason, Update};

use crate::{
    bench::{Bench, PATIENCE, Room, deliver_this, ensure_empty, take, take_this},
    updates::{store, update, updates},
};

pub async fn an_update_is_given_out_as_it_came<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let plain = update(7, 1);
    let life = Duration::from_millis(30_001);
    let expiring = Update { expires_at: Some(plain.received_at + life), ..update(i64::MIN, 2) };
    let any_bytes = Update { body: (0..=u8::MAX).collect(), ..update(i64::MAX, i64::from(i32::MAX)) };
    let large = Update { body: Bytes::from(vec![b'x'; 1 << 20]), ..update(-7, 0) };
    for update in [plain, expiring, any_bytes, large] {
        store(&queue, std::slice::from_ref(&update)).await?;
        let lease = take_this(&queue, &update).await?;
        assert_eq!(lease.deliveries, 0);
        queue.settle(lease, Outcome::Done).await?;
    }
    ensure_empty(&queue).await
}

pub async fn what_was_stored_survives_a_crash<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let mut updates = updates(7, 20);
    updates[3].expires_at = Some(updates[3].received_at + Duration::from_secs(30));
    store(&queue, &updates).await?;
    bench.crash(queue).await?;
    let queue = bench.open().await?;
    for update in &updates {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

pub async fn whoever_waits_is_woken<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    for update in updates(7, 5) {
        let mut waiting = Box::pin(take(&queue));
        assert!(poll!(&mut waiting).is_pending(), "there is nothing yet");
        store(&queue, std::slice::from_ref(&update)).await?;
        let lease = waiting.await?;
        assert_eq!(lease.update, update);
        queue.settle(lease, Outcome::Done).await?;
    }
    Ok(())
}

pub async fn several_that_wait_get_one_each<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = Arc::new(bench.open().await?);
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move { take(&*queue).await })
        })
        .collect();
    for chat in 0..8 {
        store(&*queue, &[update(chat, chat)]).await?;
    }
    let mut leases = Vec::new();
    for waiting in waiting {
        leases.push(waiting.await??);
    }
    let mut chats: Vec<_> = leases.iter().map(|lease| lease.update.lane.id).collect();
    chats.sort_unstable();
    assert_eq!(chats, (0..8).collect::<Vec<_>>());
    Ok(())
}

pub async fn one_that_stops_waiting_takes_nothing_with_it<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    for update in updates(7, 5) {
        let mut gone = Box::pin(queue.next());
        let mut waiting = Box::pin(take(&queue));
        assert!(poll!(&mut gone).is_pending());
        assert!(poll!(&mut waiting).is_pending());
        store(&queue, std::slice::from_ref(&update)).await?;
        // it was the first to wait, and may have been woken
        drop(gone);
        let lease = waiting.await?;
        assert_eq!(lease.update, update);
        queue.settle(lease, Outcome::Done).await?;
    }
    Ok(())
}

pub async fn what_waits_is_counted<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    ensure_empty(&queue).await?;
    let stored = updates(7, 3);
    store(&queue, &stored).await?;
    let oldest = &stored[0];
    let lease = take_this(&queue, oldest).await?;
    let depth = queue.depth().await?;
    assert_eq!((depth.updates, depth.dead_letters), (3, 0));
    assert!(depth.bytes > 0);
    assert!(depth.oldest.is_none_or(|at| at == oldest.received_at), "{:?}", depth.oldest);
    queue.settle(lease, Outcome::Dead(Reason::Refused(400))).await?;
    telegram_webhook_tests::wait::until("the counts", PATIENCE, async || {
        let depth = queue.depth().await?;
        Ok(((depth.updates, depth.dead_letters) == (2, 1)).then_some(()))
    })
    .await
}
