//! What goes wrong with a Redis, and is put right.

use std::{collections::BTreeMap, sync::Arc};

use telegram_webhook_sidecar::queue::{
    Appended, Clock, Lease, Outcome, Queue as _, QueueError, Reason, Selection, Update,
    redis::{Doubt, Receipt, RedisQueue},
};
use telegram_webhook_sidecar_config::{Redis, Secret};
use telegram_webhook_tests::wait;

use super::{BOT, Standalone, redis, settings};
use telegram_webhook_tests::servers::redis::RedisServer;

use crate::{
    bench::{Bench as _, Outage as _, PATIENCE, Room, deliver_this, ensure_empty, take},
    updates::{store, update, updates, with_text},
};

/// Stores an update, however often that takes: what isn't acknowledged comes again.
async fn store_at_last(queue: &RedisQueue, update: &Update) -> anyhow::Result<Appended> {
    let stored = wait::until("the queue to take an update", PATIENCE, async || {
        Ok(Some(queue.append(update.clone()).await?))
    });
    stored.await
}

async fn take_at_last(queue: &RedisQueue) -> anyhow::Result<Lease<Receipt>> {
    wait::until("the queue to give out an update", PATIENCE, async || Ok(Some(take(queue).await?))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_a_server_that_is_killed_again_and_again() -> anyhow::Result<()> {
    const CHATS: i64 = 8;
    const EACH: i64 = 60;
    let bench = Standalone::start(Room::Plenty).await?;
    let queue = Arc::new(bench.open().await?);
    let producers: Vec<_> = (1..=CHATS)
        .map(|chat| {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                for update in updates(chat, EACH) {
                    store_at_last(&queue, &update).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    let consumer = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let mut seen: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            while seen.values().map(Vec::len).sum::<usize>() < usize::try_from(CHATS * EACH)? {
                let lease = take_at_last(&queue).await?;
                let id = lease.update.update_id.unwrap_or_default();
                let of_chat = seen.entry(lease.update.lane.id).or_default();
                // what couldn't be settled comes again
                if of_chat.last() != Some(&id) {
                    of_chat.push(id);
                }
                queue.settle(lease, Outcome::Done).await.ok();
            }
            anyhow::Ok(seen)
        })
    };
    for kill in 1..=5 {
        // in the midst of it: so many are known by then
        wait::until("traffic", PATIENCE, async || {
            let known =
                bench.server.lock().await.command(&["ZCARD", "telegram-webhook:{123456}:known"]).await?;
            Ok((known.parse::<i64>()? > CHATS * EACH * kill / 7).then_some(()))
        })
        .await?;
        bench.begin().await?;
        bench.end().await?;
    }
    for producer in producers {
        producer.await??;
    }
    let seen = consumer.await??;
    for chat in 1..=CHATS {
        let expected: Vec<_> = (0..EACH).map(|id| 1_000 * chat + id).collect();
        assert_eq!(seen.get(&chat), Some(&expected), "chat {chat}");
    }
    wait::until("the rest to be settled", PATIENCE, async || {
        let left = queue.depth().await?.updates;
        if left > 0 {
            let lease = take_at_last(&queue).await?;
            queue.settle(lease, Outcome::Done).await?;
        }
        Ok((left == 0).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_memory_nothing_is_stored_and_what_is_stored_goes_on() -> anyhow::Result<()> {
    let bench = Standalone::with("maxmemory 12mb\nmaxmemory-policy noeviction", 100_000).await?;
    let queue = bench.open().await?;
    let mut stored = Vec::new();
    let refused = loop {
        let update = with_text(7, i64::try_from(stored.len())?, &"x".repeat(100_000));
        match queue.append(update.clone()).await {
            Ok(_) => stored.push(update),
            Err(error) => break (update, error),
        }
    };
    assert!(matches!(refused.1, QueueError::Full(_)), "{:?}", refused.1);
    assert!(stored.len() > 20, "{}", stored.len());
    // what was stored is known all the same
    assert_eq!(queue.append(stored[0].clone()).await?, Appended::Duplicate);
    bench.crash(queue).await?;
    // far beyond the limit, not just at it
    bench.server.lock().await.command(&["CONFIG", "SET", "maxmemory", "1mb"]).await?;
    let queue = bench.open().await?;
    let poison = take(&queue).await?;
    queue.settle(poison, Outcome::Dead(Reason::Refused(400))).await?;
    let letters = queue.dead_letters(&Selection::default(), None, 2).await?;
    assert!(queue.replay(letters[0].id).await?);
    for update in stored[1..].iter().chain(&stored[..1]) {
        deliver_this(&queue, update).await?;
    }
    bench.server.lock().await.command(&["CONFIG", "SET", "maxmemory", "12mb"]).await?;
    store_at_last(&queue, &refused.0).await?;
    deliver_this(&queue, &refused.0).await?;
    ensure_empty(&queue).await
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it_and_a_new_one_is_taken() -> anyhow::Result<()> {
    let server = RedisServer::start("requirepass former\nuser admin on nopass ~* &* +@all").await?;
    let open = |password: &str| {
        let redis = Redis { password: Some(Secret(password.to_owned())), ..redis(vec![server.address()]) };
        anyhow::Ok(RedisQueue::open(settings(&redis)?, BOT, Clock::new())?)
    };
    let wrong = open("hush-hush")?;
    let error = wrong.append(update(7, 1)).await.unwrap_err();
    assert!(matches!(error, QueueError::Broken(_)), "{error:?}");
    assert!(!error.to_string().contains("hush-hush"), "{error}");

    let former = open("former")?;
    store(&former, &[update(7, 1)]).await?;
    server.command(&["CONFIG", "SET", "requirepass", "later"]).await?;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await?;
    wait::until("the former password to be of no use", PATIENCE, async || {
        Ok(matches!(former.append(update(7, 2)).await, Err(QueueError::Broken(_))).then_some(()))
    })
    .await?;
    // what a changed configuration leads to
    let later = open("later")?;
    former.close().await.ok();
    assert_eq!(later.append(update(7, 1)).await?, Appended::Duplicate);
    deliver_this(&later, &update_of(&later).await?).await
}

/// The update that is given out next, put back.
async fn update_of(queue: &RedisQueue) -> anyhow::Result<Update> {
    Ok(take(queue).await?.update)
}

#[tokio::test]
async fn a_server_that_forgets_scripts_is_told_them_again() -> anyhow::Result<()> {
    let bench = Standalone::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    for id in 1..4 {
        bench.server.lock().await.command(&["SCRIPT", "FLUSH"]).await?;
        store(&queue, &[update(7, id)]).await?;
        let lease = take(&queue).await?;
        bench.server.lock().await.command(&["SCRIPT", "FLUSH"]).await?;
        queue.settle(lease, Outcome::Done).await?;
    }
    ensure_empty(&queue).await
}

#[tokio::test]
async fn a_server_that_may_lose_updates_is_told_of() -> anyhow::Result<()> {
    for (lines, expected) in [
        ("", vec![]),
        ("appendfsync everysec", vec![Doubt::LateSync("everysec".to_owned())]),
        (
            "appendonly no\nmaxmemory 1gb\nmaxmemory-policy allkeys-lru",
            vec![Doubt::NoLog, Doubt::Evicts("allkeys-lru".to_owned())],
        ),
        ("rename-command CONFIG \"\"", vec![Doubt::Unknown]),
    ] {
        let bench = Standalone::with(lines, 100).await?;
        let queue = bench.open().await?;
        store(&queue, &[update(7, 1)]).await?;
        let report = queue.report().borrow().clone().expect("connected");
        assert_eq!(report.durable(), expected.is_empty());
        assert_eq!(report.doubts, expected, "{lines}");
    }
    Ok(())
}

#[tokio::test]
async fn what_somebody_else_wrote_holds_nothing_up() -> anyhow::Result<()> {
    let bench = Standalone::start(Room::Plenty).await?;
    let stream = |number: u8| format!("telegram-webhook:{{123456}}:updates:{number}");
    for number in 0..16 {
        let server = bench.server.lock().await;
        server.command(&["XADD", &stream(number), "1-1", "anything", "else"]).await?;
        server.command(&["XADD", &stream(number), "1-2", "lane", "0:1", "body", "no time"]).await?;
    }
    let queue = bench.open().await?;
    let updates = updates(1, 3);
    store(&queue, &updates).await?;
    let mut delivered = Vec::new();
    while delivered.len() < updates.len() {
        match queue.next().await {
            Ok(lease) => {
                delivered.push(lease.update.clone());
                queue.settle(lease, Outcome::Done).await?;
            }
            Err(error) => assert!(matches!(error, QueueError::Broken(_)), "{error}"),
        }
    }
    assert_eq!(delivered, updates);
    Ok(())
}
