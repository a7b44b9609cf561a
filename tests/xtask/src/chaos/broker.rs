//! The server in which updates wait, as something to be killed, and as something that can't be reached for a while.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use clap::ValueEnum;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use telegram_webhook_sidecar_config as config;
use telegram_webhook_tests::{
    cluster::command,
    servers::{
        rabbitmq::{self, Node},
        redis::RedisServer,
    },
};
use tokio::time::timeout;

use super::queue::Victim;

/// Far beyond what a start takes.
const PATIENCE: Duration = Duration::from_mins(2);
/// Of the firewall, within the run's own network namespace.
const TABLE: &str = "tgwh_chaos";

/// Where updates wait.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    Embedded,
    Redis,
    Rabbitmq,
}

/// A server of our own.
pub enum Broker {
    Redis(Box<RedisServer>),
    RabbitMq(Box<Node>),
}

/// The way to a server, on which everything gets lost by turns: nobody is told, as when a cable is pulled.
pub struct Link {
    port: u16,
    is_cut: bool,
}

// === impl Backend ===

impl Backend {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Redis => "redis",
            Self::Rabbitmq => "rabbitmq",
        }
    }

    /// Starts the server, where there is one.
    pub async fn start(self) -> anyhow::Result<Option<Broker>> {
        Ok(match self {
            Self::Embedded => None,
            Self::Redis => Some(Broker::Redis(Box::new(RedisServer::start("").await?))),
            Self::Rabbitmq => Some(Broker::RabbitMq(Box::new(Node::start("").await?))),
        })
    }

    /// The same with its files in a folder of our choice.
    pub async fn start_under(self, folder: &Path) -> anyhow::Result<Option<Broker>> {
        Ok(match self {
            Self::Embedded => None,
            Self::Redis => Some(Broker::Redis(Box::new(RedisServer::start_under(folder).await?))),
            Self::Rabbitmq => Some(Broker::RabbitMq(Box::new(Node::start_under(folder).await?))),
        })
    }
}

// === impl Broker ===

impl Broker {
    /// What a sidecar has to know of it.
    pub fn backend(&self) -> anyhow::Result<config::Backend> {
        let backend = match self {
            Self::Redis(server) => json!({"type": "Redis", "addresses": [server.address()]}),
            Self::RabbitMq(node) => json!({
                "type": "RabbitMq",
                "addresses": [node.address()],
                "username": rabbitmq::USER,
                "password": rabbitmq::PASSWORD,
            }),
        };
        Ok(serde_json::from_value(backend)?)
    }

    /// Of the server's process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        match self {
            Self::Redis(server) => server.pid(),
            Self::RabbitMq(node) => node.pid(),
        }
    }

    pub fn link(&self) -> Link {
        let port = match self {
            Self::Redis(server) => server.port(),
            Self::RabbitMq(node) => node.port,
        };
        Link { port, is_cut: false }
    }
}

impl Victim for Broker {
    fn kill(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            match self {
                Self::Redis(server) => server.kill().await,
                Self::RabbitMq(node) => {
                    node.kill();
                    Ok(())
                }
            }
        })
    }

    fn start(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        let start = async move {
            match self {
                Self::Redis(server) => server.start_again().await,
                Self::RabbitMq(node) => node.start_again().await,
            }
        };
        Box::pin(async move { timeout(PATIENCE, start).await.context("the server doesn't start again")? })
    }
}

impl Victim for Link {
    fn is_missed(&self) -> bool {
        true
    }

    fn kill(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            let Self { port, .. } = self;
            let rules = format!(
                "table inet {TABLE} {{ chain input {{ type filter hook input priority 0; \
                 tcp sport {port} drop; tcp dport {port} drop; }}; }}"
            );
            command::run("nft", &[&rules]).await?;
            self.is_cut = true;
            Ok(())
        })
    }

    fn start(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async move {
            if std::mem::take(&mut self.is_cut) {
                command::run("nft", &["delete", "table", "inet", TABLE]).await?;
            }
            Ok(())
        })
    }
}
