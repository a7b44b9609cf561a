//! The RabbitMQ in which updates wait, and how they look there.
//!
//! # For a CRM that takes the updates out itself (`consume: Queue`)
//!
//! * **Queues**: `<namePrefix>.<bot id>.<k>` for `k` from 0 to `partitions - 1`, in `virtualHost`, published to by the default exchange.
//!   They are quorum queues with `x-single-active-consumer`: subscribe to each from every replica, and one of them gets its messages. All
//!   updates of one chat (of one lane, see below) are in one queue, in order. Who acknowledges only what is processed, one update
//!   of a lane at a time, loses and reorders nothing.
//! * **Body**: Telegram's bytes, `content-type: application/json`, persistent.
//! * **Properties**: `message-id` is `<bot id>-<update_id>`. An update can come twice (Telegram repeats what it got no answer for), with
//!   the same `message-id`: remember it for 25 hours.
//! * **Headers**: `lane` (text, `<family>:<id>`: updates of the same one have an order), `update-id` (integer), `received-at` and
//!   `stored-at` (integers, milliseconds of Unix time), `expires-at` (the same, only where the update is of no use after it), and
//!   `replay-of` (text) only on an update that was set aside and put back.
//! * **The queue of a lane**: CRC-32 (IEEE) of the text `<family>:<id>`, modulo `partitions`. Whoever changes `partitions` empties
//!   the queues and deletes them first: the sidecar refuses to use those of another number.

use serde::{Deserialize, Serialize};

use crate::{BrokerTls, Consume, Secret};

/// A RabbitMQ, 3.10 or later, that several sidecars can share.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RabbitMq {
    /// Where its nodes listen, each `host:port`.
    pub addresses: Vec<String>,
    /// Virtual host.
    #[serde(default = "virtual_host")]
    pub virtual_host: String,
    /// User, who may configure, write and read what begins with `namePrefix`, and write to the default exchange.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// How connections are encrypted; none for not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BrokerTls>,
    /// What the names of all queues begin with.
    #[serde(default = "name_prefix")]
    pub name_prefix: String,
    /// Queues that the chats of a bot are spread over. As many sidecars at most have work.
    #[serde(default = "partitions")]
    pub partitions: u32,
    /// Most updates of a bot that wait, an equal share in each of its queues; beyond it updates are refused, and Telegram keeps them.
    #[serde(default = "max_updates")]
    pub max_updates: u64,
    /// Who takes the updates out again.
    #[serde(default)]
    pub consume: Consume,
}

fn virtual_host() -> String {
    "/".to_owned()
}

fn name_prefix() -> String {
    "telegram-webhook".to_owned()
}

fn partitions() -> u32 {
    16
}

fn max_updates() -> u64 {
    100_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;

    #[test]
    fn little_needs_to_be_said_and_shows_no_secret() {
        let text =
            r#"{"type":"RabbitMq","addresses":["rabbitmq:5672"],"username":"sidecar","password":"hush"}"#;
        let backend: Backend = serde_json::from_str(text).unwrap();
        assert!(!format!("{backend:?}").contains("hush"));
        let written = serde_json::to_string(&backend).unwrap();
        assert_eq!(serde_json::from_str::<Backend>(&written).unwrap(), backend);
        let Backend::RabbitMq(rabbitmq) = backend else { panic!("not what was written") };
        assert_eq!((rabbitmq.partitions, rabbitmq.max_updates), (16, 100_000));
        assert_eq!((rabbitmq.virtual_host.as_str(), rabbitmq.consume), ("/", Consume::Sidecar));
        assert!(serde_json::from_str::<Backend>(&text.replace("addresses", "adresses")).is_err());
    }
}
