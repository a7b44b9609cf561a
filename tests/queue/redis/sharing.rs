//! How sidecars share the streams of a bot.

use std::collections::BTreeMap;

use telegram_webhook_sidecar::queue::{
    Clock, Lease, Outcome, Queue as _, QueueError, Reason, redis::RedisQueue,
};
use telegram_webhook_sidecar_config::{Consume, Redis};
use telegram_webhook_tests::wait;

use super::{BOT, Standalone, redis, settings};
use telegram_webhook_tests::servers::redis::RedisServer;

use crate::{
    bench::{Bench as _, PATIENCE, Room, take},
    updates::{store, update, updates},
};

const LEASES: &str = "telegram-webhook:{123456}:leases";
const CONSUMERS: &str = "telegram-webhook:{123456}:consumers";

/// How many streams each sidecar holds, fewest first.
async fn shares(server: &RedisServer) -> anyhow::Result<Vec<usize>> {
    let leases = server.command(&["HVALS", LEASES]).await?;
    let mut shares = BTreeMap::<_, usize>::new();
    for owner in leases.lines().filter_map(|token| token.split_once(':')) {
        *shares.entry(owner.1.to_owned()).or_default() += 1;
    }
    let mut shares: Vec<_> = shares.into_values().collect();
    shares.sort_unstable();
    Ok(shares)
}

async fn shared_as(bench: &Standalone, expected: &[usize]) -> anyhow::Result<()> {
    wait::until("the streams to be shared out", PATIENCE, async || {
        let shares = shares(&*bench.server.lock().await).await?;
        anyhow::ensure!(shares == expected, "{shares:?}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn whoever_joins_gets_its_share_and_whoever_leaves_leaves_it() -> anyhow::Result<()> {
    let bench = Standalone::start(Room::Plenty).await?;
    let first = bench.open().await?;
    shared_as(&bench, &[16]).await?;
    let second = bench.open().await?;
    shared_as(&bench, &[8, 8]).await?;
    let third = bench.open().await?;
    shared_as(&bench, &[5, 5, 6]).await?;
    first.close().await?;
    shared_as(&bench, &[8, 8]).await?;
    bench.crash(second).await?;
    shared_as(&bench, &[16]).await?;
    third.close().await?;
    assert_eq!(shares(&*bench.server.lock().await).await?, Vec::<usize>::new());
    Ok(())
}

#[tokio::test]
async fn a_stream_with_an_update_in_hand_is_not_let_go() -> anyhow::Result<()> {
    let bench = Standalone::start(Room::Plenty).await?;
    let first = bench.open().await?;
    let mut in_hand = Vec::new();
    for chat in 0..64 {
        store(&first, &updates(chat, 2)).await?;
        in_hand.push(take(&first).await?);
    }
    let second = bench.open().await?;
    wait::until("the second one to be seen", PATIENCE, async || {
        let living = bench.server.lock().await.command(&["ZCARD", CONSUMERS]).await?;
        Ok((living == "2").then_some(()))
    })
    .await?;
    assert_eq!(shares(&*bench.server.lock().await).await?, [16]);
    for lease in in_hand {
        first.settle(lease, Outcome::Done).await?;
    }
    shared_as(&bench, &[8, 8]).await?;
    // what is left is given out once, by the one or the other
    let mut left: Vec<_> = (0..64).map(|chat| update(chat, 1_000 * chat + 1).update_id).collect();
    while !left.is_empty() {
        let (queue, lease) = tokio::select! {
            lease = take(&first) => (&first, lease?),
            lease = take(&second) => (&second, lease?),
        };
        let position = left.iter().position(|id| *id == lease.update.update_id);
        left.remove(position.expect("given out once"));
        queue.settle(lease, Outcome::Done).await?;
    }
    Ok(())
}

#[tokio::test]
async fn whoever_has_lost_a_stream_can_neither_settle_nor_set_aside() -> anyhow::Result<()> {
    let bench = Standalone::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    store(&queue, &[update(1, 1), update(2, 2)]).await?;
    let leases = [take(&queue).await?, take(&queue).await?];
    assert!(leases.iter().all(Lease::holds));
    // as it is when another sidecar took over from this one, which was cut off
    {
        let server = bench.server.lock().await;
        server.command(&["ZADD", CONSUMERS, "99999999999999", "other"]).await?;
        for stream in 0..16 {
            server.command(&["HSET", LEASES, &stream.to_string(), "99:other"]).await?;
        }
    }
    wait::until("the loss to be noticed", PATIENCE, async || {
        Ok((!leases.iter().any(Lease::holds)).then_some(()))
    })
    .await?;
    for (lease, outcome) in leases.into_iter().zip([Outcome::Done, Outcome::Dead(Reason::Refused(400))]) {
        let settled = queue.settle(lease, outcome).await;
        assert!(matches!(settled, Err(QueueError::Unavailable(_))), "{settled:?}");
    }
    let depth = queue.depth().await?;
    assert_eq!((depth.updates, depth.dead_letters), (2, 0));
    Ok(())
}

#[tokio::test]
async fn a_crm_can_take_the_updates_out_itself() -> anyhow::Result<()> {
    let server = RedisServer::start("").await?;
    let redis = Redis { consume: Consume::Queue, ..redis(vec![server.address()]) };
    let queue = RedisQueue::open(settings(&redis)?, BOT, Clock::new())?;
    let update = update(7, 42);
    store(&queue, std::slice::from_ref(&update)).await?;
    assert_eq!(server.command(&["EXISTS", LEASES, CONSUMERS]).await?, "0");
    // as the sidecar's manual says
    let mut found = None;
    for stream in 0..16 {
        let stream = format!("telegram-webhook:{{123456}}:updates:{stream}");
        server.command(&["XGROUP", "CREATE", &stream, "crm", "0", "MKSTREAM"]).await?;
        let read = ["XREADGROUP", "GROUP", "crm", "one", "COUNT", "1", "STREAMS", &stream, ">"];
        let entry = server.command(&read).await?;
        if !entry.is_empty() {
            found = Some((stream, entry));
        }
    }
    let (stream, entry) = found.expect("in one of the streams");
    let lines: Vec<_> = entry.lines().collect();
    let value = |name: &str| lines.iter().skip_while(|line| **line != name).nth(1).copied();
    assert_eq!((value("update_id"), value("lane")), (Some("42"), Some("0:7")));
    assert_eq!(value("body"), str::from_utf8(&update.body).ok());
    server.command(&["XACK", &stream, "crm", lines[1]]).await?;
    server.command(&["XDEL", &stream, lines[1]]).await?;
    assert_eq!(queue.depth().await?.updates, 0);
    let waiting = queue.next();
    queue.close().await?;
    assert_eq!(waiting.await.unwrap_err(), QueueError::Closed);
    Ok(())
}
