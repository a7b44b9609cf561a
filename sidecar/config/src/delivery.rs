//! How updates reach the CRM, and where they wait for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{RabbitMq, Redis};

/// How updates reach the CRM.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Delivery {
    /// Whether updates are stored before Telegram gets its answer.
    pub mode: DeliveryMode,
    /// With mode `Queued`: how far an update must have come when Telegram gets its answer.
    pub answer_after: AnswerAfter,
    /// With mode `Synchronous`: the Bot API methods that the CRM may call in its answer; any other answer is dropped.
    pub reply_methods: Vec<String>,
    /// Where updates wait.
    pub backend: Backend,
    /// Failed attempts after which an update is set aside, counted while the CRM accepts others.
    pub max_attempts: u32,
    /// Most updates that the CRM gets at the same time.
    pub concurrency: usize,
    /// Keys that each delivery is signed with, as <https://www.standardwebhooks.com> says; each `whsec_` and the key in base64. Two
    /// while one replaces the other, none for no signature.
    pub signing_keys: Vec<Secret>,
    /// What the CRM gets as `X-Telegram-Bot-Api-Secret-Token`; Telegram's own never leaves the sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_token: Option<Secret>,
    /// Hours for which an update that was set aside can be looked at and replayed.
    pub dead_letter_retention_hours: u64,
}

/// Whether updates are stored.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum DeliveryMode {
    /// Telegram gets its answer once the update is stored; the CRM gets the update from there.
    #[default]
    Queued,
    /// Telegram gets its answer once the CRM has accepted the update. Nothing is stored, and the CRM can call a method in its answer.
    Synchronous,
}

/// When Telegram gets its answer.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum AnswerAfter {
    /// The update survives a crash.
    #[default]
    Stored,
    /// The CRM has it, or didn't accept it within two seconds. For several replicas that each store for themselves: Telegram sends a
    /// chat's next update after the answer, to any of them.
    Delivered,
}

/// Where updates wait.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Backend {
    /// In files of the sidecar's own.
    Embedded {
        /// Most bytes that they take; beyond it updates are refused, and Telegram keeps them.
        #[serde(default = "max_bytes")]
        max_bytes: u64,
    },
    /// In Redis, where other sidecars share them.
    Redis(Box<Redis>),
    /// In RabbitMQ, where other sidecars share them.
    RabbitMq(Box<RabbitMq>),
}

/// A text that nobody may see.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(transparent)]
pub struct Secret(pub String);

// === impl Delivery ===

impl Default for Delivery {
    fn default() -> Self {
        Self {
            mode: DeliveryMode::default(),
            answer_after: AnswerAfter::default(),
            reply_methods: Vec::new(),
            backend: Backend::default(),
            max_attempts: 12,
            concurrency: 32,
            signing_keys: Vec::new(),
            secret_token: None,
            dead_letter_retention_hours: 168,
        }
    }
}

// === impl Backend ===

impl Default for Backend {
    fn default() -> Self {
        Self::Embedded { max_bytes: max_bytes() }
    }
}

fn max_bytes() -> u64 {
    512 << 20
}

// === impl Secret ===

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
