//! Updates wait in Redis.

mod arrangements;
pub mod bans;
mod failures;
mod sharing;

use telegram_webhook_sidecar::{
    config::RedisSettings,
    queue::{Clock, redis::RedisQueue},
};
use telegram_webhook_sidecar_config::{Consume, Redis, RedisTopology};
use tokio::sync::Mutex;

use telegram_webhook_tests::servers::redis::RedisServer;

use crate::{
    bench::{Bench, Outage, Room},
    every_promise, every_promise_in_an_outage, every_promise_of_a_shared_queue, promised,
};

const BOT: i64 = 123_456;

/// One server.
pub struct Standalone {
    server: Mutex<RedisServer>,
    settings: RedisSettings,
}

// === impl Standalone ===

impl Standalone {
    /// With more lines in the server's configuration file.
    pub async fn with(lines: &str, max_updates: u64) -> anyhow::Result<Self> {
        let server = RedisServer::start(lines).await?;
        let redis = Redis { max_updates, ..redis(vec![server.address()]) };
        Ok(Self { server: Mutex::new(server), settings: settings(&redis)? })
    }
}

impl Bench for Standalone {
    type Queue = RedisQueue;

    async fn start(room: Room) -> anyhow::Result<Self> {
        Self::with("", max_updates(room)).await
    }

    async fn open(&self) -> anyhow::Result<RedisQueue> {
        Ok(RedisQueue::open(self.settings.clone(), BOT, Clock::new())?)
    }

    async fn crash(&self, queue: RedisQueue) -> anyhow::Result<()> {
        // nothing is said to the server
        drop(queue);
        Ok(())
    }
}

impl Outage for Standalone {
    async fn begin(&self) -> anyhow::Result<()> {
        self.server.lock().await.kill().await
    }

    async fn end(&self) -> anyhow::Result<()> {
        self.server.lock().await.start_again().await
    }
}

fn max_updates(room: Room) -> u64 {
    match room {
        Room::Plenty => 100_000,
        Room::Little => 100,
    }
}

/// A Redis as the configuration file says it.
pub fn redis(addresses: Vec<String>) -> Redis {
    Redis {
        addresses,
        topology: RedisTopology::Standalone,
        username: None,
        password: None,
        database: 0,
        tls: None,
        key_prefix: "telegram-webhook:".to_owned(),
        max_updates: 100_000,
        consume: Consume::Sidecar,
    }
}

pub fn settings(redis: &Redis) -> anyhow::Result<RedisSettings> {
    RedisSettings::new(redis).map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))
}

every_promise!(Standalone);
every_promise_of_a_shared_queue!(Standalone);
every_promise_in_an_outage!(Standalone);
