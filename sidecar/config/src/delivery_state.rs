//! What a sidecar says of a webhook's queue and of its CRM.

use serde::{Deserialize, Serialize};

/// How delivery goes at present. Without a queue there is none of it.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryState {
    /// Where updates wait.
    pub backend: BackendKind,
    /// Whether what was acknowledged survives a crash, and more can be stored: false while the queue is broken, can't be reached, or
    /// was found to keep less than it promises: a Redis by its settings, a RabbitMQ where somebody made the queues otherwise than as
    /// quorum queues that refuse what they have no room for.
    pub durable: bool,
    /// Whether the CRM takes updates: false while deliveries are held back because it fails.
    pub crm_reachable: bool,
    /// Updates that wait, those under way among them.
    pub queued: u64,
    /// Seconds for which the oldest of them has been waiting; 0 if none does.
    pub oldest_seconds: u64,
    /// Updates that were set aside and are still kept.
    pub dead_letters: u64,
}

/// Where updates wait, as far as it matters to somebody who looks from outside.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// In the pod: what it knows of updates and of clients, other pods don't.
    Embedded,
    /// In a Redis that all pods share.
    Redis,
    /// In a RabbitMQ that all pods share.
    RabbitMq,
}
