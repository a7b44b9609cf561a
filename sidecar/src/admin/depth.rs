//! What waits: `/queue` of the admin port, and the `queue` command that asks there.

use std::{fmt, net::SocketAddr};

use http::Method;
use serde::{Deserialize, Serialize};
use telegram_webhook_sidecar_config::Consume;

use super::{
    client::{AskError, ask},
    queues::Queues,
    rfc3339,
};
use crate::queue::{Depth, QueueError};

pub(super) const PATH: &str = "/queue";

/// A webhook's queue, as the admin port shows it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub webhook: String,
    /// Who takes the updates out.
    #[serde(default)]
    pub consume: Consume,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Why that isn't known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What waits in it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Updates that are not settled.
    pub updates: u64,
    /// When the oldest of them was received, as RFC 3339 writes it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<String>,
    /// Updates that were set aside.
    pub dead_letters: u64,
    /// Bytes that the queue takes.
    pub bytes: u64,
}

/// All queues, by name.
pub(super) async fn entries(queues: &dyn Queues) -> Vec<Entry> {
    let mut names = queues.names();
    names.sort_unstable();
    let mut entries = Vec::new();
    for webhook in names {
        let consume = queues.consume(&webhook);
        entries.push(match queues.depth(&webhook).await {
            Ok(depth) => Entry { webhook, consume, waiting: Some(depth.into()), error: None },
            // gone since
            Err(QueueError::Closed) => continue,
            Err(error) => Entry { webhook, consume, waiting: None, error: Some(error.to_string()) },
        });
    }
    entries
}

/// The queues of the sidecar at `admin`.
pub async fn list(admin: SocketAddr) -> Result<Vec<Entry>, AskError> {
    let entries = ask(admin, Method::GET, PATH).await?;
    Ok(serde_json::from_slice(&entries)?)
}

/// All queues for people, one a line.
pub fn shown(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "nothing is stored: there is no queue".to_owned();
    }
    entries.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

// === impl Entry ===

impl Entry {
    /// Whether nothing is left to deliver from here, as far as is known.
    pub fn is_empty(&self) -> bool {
        // what somebody else takes out stays where it is when the sidecar goes
        self.consume == Consume::Queue || self.waiting.as_ref().is_some_and(|waiting| waiting.updates == 0)
    }
}

/// A line for people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { webhook, consume, waiting, error } = self;
        write!(f, "{webhook}:")?;
        if let Some(Waiting { updates, oldest, dead_letters, bytes }) = waiting {
            write!(f, " {updates} updates wait")?;
            if let Some(oldest) = oldest {
                write!(f, ", the oldest since {oldest}")?;
            }
            write!(f, "; {dead_letters} were set aside; {bytes} bytes")?;
            if *consume == Consume::Queue {
                f.write_str("; somebody else takes them out")?;
            }
        }
        if let Some(error) = error {
            write!(f, " {error}")?;
        }
        Ok(())
    }
}

// === impl Waiting ===

impl From<Depth> for Waiting {
    fn from(Depth { updates, bytes, oldest, dead_letters }: Depth) -> Self {
        Self { updates, oldest: oldest.map(rfc3339), dead_letters, bytes }
    }
}
