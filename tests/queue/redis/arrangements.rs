//! Redis with TLS and users, a Redis Cluster, and a Redis with sentinels.

use std::sync::Arc;

use telegram_webhook_sidecar::{
    bans::exchange::Exchange as _,
    queue::{
        Clock, Outcome, Queue as _, QueueError, Reason, Selection,
        redis::{RedisBans, RedisQueue, Report},
    },
};
use telegram_webhook_sidecar_config::{BrokerTls, Redis, RedisTopology, Secret};
use telegram_webhook_tests::{pki::Authority, wait};

use super::{
    BOT,
    bans::{hears, news},
    redis, settings,
};
use telegram_webhook_tests::servers::{
    redis::{RedisServer, USER},
    redis_groups::{RedisCluster, SERVICE, WatchedRedis},
};

use crate::{
    bench::{Bench, PATIENCE, Room, deliver_this, ensure_empty, take},
    every_promise_of_a_shared_queue, promised,
    updates::{store, update, updates},
};

const NAME: &str = "redis.example.com";

/// A cluster.
pub struct Cluster {
    _nodes: RedisCluster,
    settings: telegram_webhook_sidecar::config::RedisSettings,
}

impl Bench for Cluster {
    type Queue = RedisQueue;

    async fn start(_: Room) -> anyhow::Result<Self> {
        let nodes = RedisCluster::start().await?;
        let settings = settings(&of_cluster(&nodes))?;
        Ok(Self { _nodes: nodes, settings })
    }

    async fn open(&self) -> anyhow::Result<RedisQueue> {
        Ok(RedisQueue::open(self.settings.clone(), BOT, Clock::new())?)
    }

    async fn crash(&self, queue: RedisQueue) -> anyhow::Result<()> {
        drop(queue);
        Ok(())
    }
}

fn of_cluster(cluster: &RedisCluster) -> Redis {
    let addresses = cluster.nodes.iter().map(RedisServer::address);
    Redis { topology: RedisTopology::Cluster, ..redis(addresses.collect()) }
}

every_promise_of_a_shared_queue!(Cluster);

promised! { Cluster:
    storing { what_was_stored_survives_a_crash, what_waits_is_counted }
    dead_letters { dead_letters_are_selected_and_come_in_pages, a_replayed_update_joins_the_end_of_its_lane }
    soak { whatever_is_dropped_or_killed_each_lane_is_whole_and_in_order }
}

/// Everything that a queue does, once.
async fn goes_round(queue: &RedisQueue) -> anyhow::Result<()> {
    let updates = updates(7, 3);
    store(queue, &updates).await?;
    deliver_this(queue, &updates[0]).await?;
    let lease = take(queue).await?;
    queue.settle(lease, Outcome::Dead(Reason::Refused(400))).await?;
    queue.bury(update(8, 1), Reason::Malformed("no JSON".to_owned())).await?;
    let letters = queue.dead_letters(&Selection::default(), None, 10).await?;
    assert_eq!(letters.len(), 2);
    assert!(queue.replay(letters[0].id).await?);
    deliver_this(queue, &updates[2]).await?;
    deliver_this(queue, &updates[1]).await?;
    assert_eq!(queue.forget_dead_letters(Clock::new().now() + PATIENCE).await?, 1);
    assert_eq!(queue.report().borrow().as_ref().map(Report::durable), Some(true));
    ensure_empty(queue).await
}

#[tokio::test]
async fn with_tls_and_a_user_that_may_no_more_than_it_must_all_goes_round() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let server = RedisServer::start_guarded(&authority, NAME, "hush-hush").await?;
    let guarded = |ca: &Authority, name: &str| {
        let tls = BrokerTls {
            ca: Some(ca.pem().to_owned()),
            server_name: Some(name.to_owned()),
            client_certificate: None,
        };
        let redis = Redis {
            username: Some(USER.to_owned()),
            password: Some(Secret("hush-hush".to_owned())),
            tls: Some(tls),
            ..redis(vec![server.address()])
        };
        settings(&redis)
    };
    let open = |settings| RedisQueue::open(settings, BOT, Clock::new());
    let queue = open(guarded(&authority, NAME)?)?;
    goes_round(&queue).await?;
    queue.close().await?;
    let bans = RedisBans::open(guarded(&authority, NAME)?, BOT);
    let [ban, _] = news("203.0.113.9");
    bans.tell(&ban).await?;
    hears(&bans, &[ban]).await?;
    for stranger in [guarded(&Authority::new()?, NAME)?, guarded(&authority, "other.example.com")?] {
        let refused = open(stranger)?.append(update(7, 9)).await;
        assert!(matches!(refused, Err(QueueError::Broken(_))), "{refused:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_keys_of_a_cluster_can_move_to_another_node_meanwhile() -> anyhow::Result<()> {
    let cluster = RedisCluster::start().await?;
    let queue = Arc::new(RedisQueue::open(settings(&of_cluster(&cluster))?, BOT, Clock::new())?);
    goes_round(&queue).await?;
    let updates = updates(9, 300);
    let producer = {
        let (queue, updates) = (Arc::clone(&queue), updates.clone());
        tokio::spawn(async move {
            for update in &updates {
                wait::until("the queue to take an update", PATIENCE, async || {
                    Ok(Some(queue.append(update.clone()).await?))
                })
                .await?;
            }
            anyhow::Ok(())
        })
    };
    cluster.move_slot_of("telegram-webhook:{123456}:known").await?;
    producer.await??;
    for update in &updates {
        let lease = wait::until("an update", PATIENCE, async || Ok(Some(take(&*queue).await?))).await?;
        assert_eq!(lease.update, *update);
        queue.settle(lease, Outcome::Done).await?;
    }
    ensure_empty(&*queue).await
}

#[tokio::test]
async fn when_a_replica_takes_over_all_that_it_has_goes_on() -> anyhow::Result<()> {
    let mut watched = WatchedRedis::start().await?;
    let topology = RedisTopology::Sentinel { service: SERVICE.to_owned(), username: None, password: None };
    let redis = Redis { topology, ..redis(vec![watched.sentinel.address()]) };
    let queue = RedisQueue::open(settings(&redis)?, BOT, Clock::new())?;
    let before = updates(9, 20);
    store(&queue, &before).await?;
    deliver_this(&queue, &before[0]).await?;
    watched.replicated().await?;
    watched.main.kill().await?;
    let after = update(9, 100_000);
    wait::until("the replica to take over", PATIENCE, async || Ok(Some(queue.append(after.clone()).await?)))
        .await?;
    // it became a replica of the other one, which the sentinel knows
    watched.main.start_again().await?;
    let mut seen = Vec::new();
    while seen.last() != Some(&after) {
        let lease = wait::until("an update", PATIENCE, async || Ok(Some(take(&queue).await?))).await?;
        // what was settled last may come again
        if lease.update != before[0] {
            seen.push(lease.update.clone());
        }
        queue.settle(lease, Outcome::Done).await?;
    }
    assert_eq!(seen[..19], before[1..]);
    assert_eq!(seen.len(), 20);
    ensure_empty(&queue).await
}
