//! What the operator and the sidecar agree on: the configuration of one webhook, which the one writes and the other reads, and the
//! sidecar's ports. Serde types, their strict parser and the digest by which both name a version; no checks beyond the shape, no
//! files.
//!
//! In a pod the sidecar finds one folder per `TelegramWebhook` under its configuration folder:
//!
//! ```text
//! /etc/telegram-webhook-sidecar/<name>/config.json   this type
//! /etc/telegram-webhook-sidecar/<name>/tls.crt       certificate chain, PEM, leaf first
//! /etc/telegram-webhook-sidecar/<name>/tls.key       its private key, PEM
//! ```
#![deny(missing_docs)]

mod address;
pub mod bounds;
mod broker_tls;
mod delivery;
mod delivery_state;
mod file;
mod filter;
mod hmac;
mod kind;
mod limits;
mod parse;
mod rabbitmq;
mod redis;
mod room;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use self::parse::{Position, parse_at};
pub use self::{
    address::{AddressMode, AddressRefusal, AddressSource, ClientAddress, DOCUMENTED_RANGES, SourceAddress},
    broker_tls::{BrokerTls, ClientCertificate},
    delivery::{AnswerAfter, Backend, Delivery, DeliveryMode, Secret},
    delivery_state::{BackendKind, DeliveryState},
    file::{FileContent, FileWebhook, TlsFiles, parse_file},
    filter::{ChatType, Content, Filter, IdList},
    hmac::{Hmac, HmacEncoding, is_reserved_header},
    kind::Kind,
    limits::{Ban, Limits, Rate},
    parse::ParseError,
    rabbitmq::RabbitMq,
    redis::{Consume, Redis, RedisTopology},
    room::{LogRoom, Room},
};

/// Port for Telegram.
pub const WEBHOOK_PORT: u16 = 18443;
/// Port for probes, metrics and the operator.
pub const ADMIN_PORT: u16 = 18444;
/// Where the sidecar's configuration is mounted.
pub const CONFIG_DIR: &str = "/etc/telegram-webhook-sidecar";
/// Where the sidecar keeps what has to survive a restart.
pub const STATE_DIR: &str = "/var/lib/telegram-webhook-sidecar";
/// Path at the admin port that answers once a draining sidecar has handed its queue to the CRM, or has waited for that as long as it
/// was told to. The containers beside it ask there before they stop.
pub const DRAINED_PATH: &str = "/drained";
/// Name of the file that holds a [`WebhookConfig`], and of its key in the operator's Secret.
pub const CONFIG_FILE: &str = "config.json";
/// Name of the certificate chain's file, as in a `kubernetes.io/tls` Secret.
pub const TLS_CERT_FILE: &str = "tls.crt";
/// Name of the private key's file, as in a `kubernetes.io/tls` Secret.
pub const TLS_KEY_FILE: &str = "tls.key";

/// Everything the sidecar needs to receive one bot's updates.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookConfig {
    /// `namespace/name` of the `TelegramWebhook`, for logs and metrics.
    pub webhook: String,
    /// The bot's user id.
    pub bot_id: i64,
    /// DNS name that Telegram connects to: chooses the certificate by SNI.
    pub host: String,
    /// The accepted pairs of path and secret token: one, or two during a rotation. The first is the current one.
    pub slots: Vec<Slot>,
    /// Where the CRM listens.
    pub upstream: Upstream,
    /// Where the client's address is found. All webhooks of a pod must agree, because it is found before the request is read.
    #[serde(default)]
    pub client_address: ClientAddress,
    /// From which addresses Telegram sends.
    #[serde(default)]
    pub source_address: SourceAddress,
    /// The signature that a relay adds; none where Telegram itself calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<Hmac>,
    /// Bounds on requests.
    #[serde(default)]
    pub limits: Limits,
    /// Which updates the CRM gets.
    #[serde(default)]
    pub filter: Filter,
    /// How updates reach the CRM.
    #[serde(default)]
    pub delivery: Delivery,
}

/// A pair of path and secret token that Telegram was told, or will be.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slot {
    /// Counts up from 1; not secret.
    pub id: i64,
    /// Whole path of the webhook's URL.
    pub path: String,
    /// What `X-Telegram-Bot-Api-Secret-Token` must hold: 1 to 256 characters `A-Z a-z 0-9 _ -`.
    pub secret_token: String,
}

// Shows the id alone: the path and the token are secrets.
impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where the CRM listens.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upstream {
    /// Plain HTTP port at 127.0.0.1.
    pub port: u16,
    /// Path for updates.
    #[serde(default = "root")]
    pub path: String,
}

fn root() -> String {
    "/".to_owned()
}

impl Filter {
    /// Reads a filter by itself; unknown fields are errors.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        parse_at(Position::START, bytes)
    }
}

impl WebhookConfig {
    /// Reads a configuration; unknown and missing fields are errors.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        parse_at(Position::START, bytes)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // serialising plain structs of strings and numbers to memory has no way to fail
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

/// Names a version of a configuration file: `sha256:` and the digest of its bytes in hex. The file holds 256 random bits,
/// so its digest gives nothing away.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// What the sidecar's admin port answers at `/config`: which version of which configuration is in use.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LoadedConfig {
    /// One entry per webhook, sorted by name.
    pub webhooks: Vec<LoadedWebhook>,
}

/// The version of one webhook's configuration that is in use.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LoadedWebhook {
    /// `namespace/name` of the `TelegramWebhook`.
    pub webhook: String,
    /// [`digest`] of the file in use.
    pub digest: String,
    /// Ids of the accepted slots, the current one first.
    pub slots: Vec<i64>,
    /// [`digest`] of the certificate chain in use.
    pub certificate_digest: String,
    /// From where its requests come; none while it had none, or where nobody looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_visible: Option<SourceVisible>,
    /// How delivery goes; none without a queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryState>,
}

/// From where the requests came that carried the right path and token, since the sidecar started.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SourceVisible {
    /// Whether a listed address was among those of the last minutes: if not, Telegram's can't be seen from there.
    pub visible: bool,
    /// Requests from addresses within `sourceAddress.ranges`.
    pub listed: u64,
    /// Requests from any other address.
    pub unlisted: u64,
    /// Those of the unlisted ones whose address is none of the internet: that of a hop in between.
    pub unroutable: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> WebhookConfig {
        WebhookConfig {
            webhook: "crm/support".into(),
            bot_id: 123_456,
            host: "hooks.example.com".into(),
            slots: vec![Slot { id: 1, path: "/telegram/PATH".into(), secret_token: "TOKEN".into() }],
            upstream: Upstream { port: 3000, path: "/webhooks/telegram".into() },
            client_address: ClientAddress::default(),
            source_address: SourceAddress::default(),
            hmac: None,
            limits: Limits::default(),
            filter: Filter::default(),
            delivery: Delivery::default(),
        }
    }

    #[test]
    fn what_the_operator_writes_the_sidecar_reads() {
        assert_eq!(WebhookConfig::parse(&example().to_bytes()).unwrap(), example());
    }

    #[test]
    fn the_answer_of_an_older_sidecar_is_read() {
        let older = br#"{"webhooks":[{"webhook":"a/b","digest":"d","slots":[1],"certificateDigest":"c"}]}"#;
        let loaded: LoadedConfig = serde_json::from_slice(older).unwrap();
        assert_eq!((loaded.webhooks[0].source_visible, loaded.webhooks[0].delivery), (None, None));
        assert_eq!(serde_json::to_vec(&loaded).unwrap(), older);
    }

    #[test]
    fn an_unknown_field_is_named() {
        let text = String::from_utf8(example().to_bytes()).unwrap().replace("\"path\"", "\"pth\"");
        let error = WebhookConfig::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.field, "slots[0].pth");
        assert!(error.reason.contains("unknown field `pth`"), "{}", error.reason);
    }

    #[test]
    fn errors_and_debug_output_hold_no_secret() {
        let text = String::from_utf8(example().to_bytes()).unwrap();
        let broken = text.replace("\"id\": 1", "\"id\": \"TOKEN\"").replace("3000", "\"TOKEN\"");
        let shown = format!("{} {:?}", WebhookConfig::parse(broken.as_bytes()).unwrap_err(), example());
        assert!(!shown.contains("TOKEN") && !shown.contains("PATH"), "{shown}");
    }
}
