//! Several redis-servers that belong together.

use std::time::Duration;

use crate::wait;
use anyhow::ensure;
use tokio::process::Command;

use super::{ports, redis::RedisServer};

const PATIENCE: Duration = Duration::from_secs(40);

/// A Redis Cluster of three.
pub struct RedisCluster {
    pub nodes: Vec<RedisServer>,
}

/// A server, its replica, and a sentinel.
pub struct WatchedRedis {
    pub main: RedisServer,
    pub replica: RedisServer,
    pub sentinel: RedisServer,
}

/// What the sentinel calls its server.
pub const SERVICE: &str = "updates";

// === impl RedisCluster ===

impl RedisCluster {
    pub async fn start() -> anyhow::Result<Self> {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let [bus] = ports::free()?;
            let lines = format!("cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 2000");
            nodes.push(RedisServer::start(&lines).await?);
        }
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(nodes.iter().map(RedisServer::address));
        let output = create.args(["--cluster-replicas", "0", "--cluster-yes"]).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Self { nodes };
        for node in &cluster.nodes {
            wait::until("the cluster to be whole", PATIENCE, async || {
                let info = node.command(&["CLUSTER", "INFO"]).await?;
                Ok(info.contains("cluster_state:ok").then_some(()))
            })
            .await?;
        }
        Ok(cluster)
    }

    /// Moves the slot of a key to another node, and says which one that is.
    pub async fn move_slot_of(&self, key: &str) -> anyhow::Result<()> {
        let slot = self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]).await?;
        let mut ids = Vec::new();
        for node in &self.nodes {
            ids.push(node.command(&["CLUSTER", "MYID"]).await?);
        }
        let mut from = None;
        for (index, node) in self.nodes.iter().enumerate() {
            // only its owner answers
            if node.command(&["EXISTS", key]).await?.starts_with(['0', '1']) {
                from = Some(index);
            }
        }
        let from = from.ok_or_else(|| anyhow::anyhow!("nobody has the slot"))?;
        let to = (from + 1) % self.nodes.len();
        self.nodes[to].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[from]]).await?;
        self.nodes[from].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[to]]).await?;
        let port = self.nodes[to].port().to_string();
        loop {
            let keys = self.nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).await?;
            let keys: Vec<_> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let moved =
                    self.nodes[from].command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await?;
                ensure!(moved == "OK" || moved == "NOKEY", "{moved}");
            }
        }
        for node in [to, from, (from + 2) % self.nodes.len()] {
            self.nodes[node].command(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[to]]).await?;
        }
        Ok(())
    }
}

// === impl WatchedRedis ===

impl WatchedRedis {
    pub async fn start() -> anyhow::Result<Self> {
        let main = RedisServer::start("").await?;
        let replica = RedisServer::start(&format!("replicaof 127.0.0.1 {}", main.port())).await?;
        let sentinel = RedisServer::start_sentinel(SERVICE, &main).await?;
        let watched = Self { main, replica, sentinel };
        wait::until("the sentinel to know the replica", PATIENCE, async || {
            let known = watched.sentinel.command(&["SENTINEL", "REPLICAS", SERVICE]).await?;
            let linked = watched.replica.command(&["INFO", "replication"]).await?;
            Ok((known.contains(&watched.replica.port().to_string())
                && linked.contains("master_link_status:up"))
            .then_some(()))
        })
        .await?;
        Ok(watched)
    }

    /// Waits until the replica has all that the main one has.
    pub async fn replicated(&self) -> anyhow::Result<()> {
        wait::until("the replica to have all", PATIENCE, async || {
            let known = ["ZCARD", "telegram-webhook:{123456}:known"];
            let (of_main, of_replica) =
                (self.main.command(&known).await?, self.replica.command(&known).await?);
            Ok((of_main == of_replica).then_some(()))
        })
        .await
    }
}
