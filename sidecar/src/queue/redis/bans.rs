//! Bans that sidecars share through Redis: those of all pods that use the same server and key prefix.

use std::time::Duration;

use redis::{Script, ScriptInvocation};
use tokio::sync::Mutex;

use super::server::Server;
use crate::{
    address::AddressKey,
    bans::exchange::{self, Exchange, SharedBan},
    config::RedisSettings,
    queue::{Clock, QueueError, from_millis, millis},
};

/// Within which the server must have answered: nobody waits for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// As many as a sidecar remembers.
const MAX: usize = 1 << 16;

/// What the server says: the version, and client, end and failures of each ban.
type Answer = (u64, Vec<(String, u64, u32)>);

pub struct RedisBans {
    server: Server,
    script: Script,
    /// Ends, failures, version.
    keys: [String; 3],
    clock: Clock,
    /// The version that was read last.
    read: Mutex<Option<u64>>,
}

// === impl RedisBans ===

impl RedisBans {
    pub fn open(settings: RedisSettings, clock: Clock) -> Self {
        let keys = ["ends", "failures", "version"];
        let keys = keys.map(|name| format!("{}{{bans}}:{name}", settings.key_prefix));
        let server = Server::new(settings, ANSWER_WITHIN);
        let script = Script::new(include_str!("scripts/bans.lua"));
        Self { server, script, keys, clock, read: Mutex::default() }
    }

    fn script(&self, what: &str) -> ScriptInvocation<'_> {
        let mut script = self.script.prepare_invoke();
        script.key(&self.keys).arg(millis(self.clock.now())).arg(what);
        script
    }
}

impl Exchange for RedisBans {
    type Error = QueueError;

    async fn ban(&self, ban: SharedBan) -> Result<(), QueueError> {
        let SharedBan { client, failures, until } = ban;
        let mut script = self.script("ban");
        script.arg(client.to_string()).arg(millis(until)).arg(failures).arg(MAX);
        self.server.run::<Answer>(&script).await.map(drop)
    }

    async fn lift(&self, client: AddressKey) -> Result<(), QueueError> {
        let mut script = self.script("lift");
        script.arg(client.to_string());
        self.server.run::<Answer>(&script).await.map(drop)
    }

    async fn changed(&self) -> Result<Option<Vec<SharedBan>>, QueueError> {
        let mut read = self.read.lock().await;
        let known = read.map_or_else(|| "none".to_owned(), |version| version.to_string());
        let mut script = self.script("read");
        script.arg(known);
        let (version, bans): Answer = self.server.run(&script).await?;
        if *read == Some(version) {
            return Ok(None);
        }
        *read = Some(version);
        let bans = bans.into_iter().filter_map(|(client, until, failures)| {
            // what a later version may write otherwise is none of ours
            Some(SharedBan { client: exchange::client(&client)?, failures, until: from_millis(until) })
        });
        Ok(Some(bans.collect()))
    }
}
