//! Bodies and answers of the control API, for both ends of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::telegram::{bot::State, faults::DeliveryFault};

/// A bot to make known.
#[derive(Clone, Serialize, Deserialize)]
pub struct BotRequest {
    pub token: String,
    pub username: Option<String>,
}

impl fmt::Debug for BotRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotRequest").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A known bot.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct BotView {
    pub id: i64,
    pub username: String,
    pub revoked: bool,
}

/// Updates to make: number i of them (from 0) belongs to chat `i % chats` and is of kind `(i / chats) % kinds`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Enqueue {
    pub count: usize,
    pub chats: Vec<i64>,
    /// Names as in `allowed_updates`.
    pub kinds: Vec<String>,
    /// `{i}` in it becomes the number.
    pub text: String,
    /// The sender; the chat's own number (made positive) when absent.
    pub user: Option<i64>,
    /// Seconds to live instead of the kind's own.
    pub life_seconds: Option<i64>,
    /// Unix time of the message; now when absent.
    pub date: Option<i64>,
    /// A body of the test's own making instead of all the above but `count`.
    pub raw: Option<RawUpdate>,
}

impl Default for Enqueue {
    fn default() -> Self {
        Self {
            count: 1,
            chats: vec![1001],
            kinds: vec!["message".to_owned()],
            text: "update {i}".to_owned(),
            user: None,
            life_seconds: None,
            date: None,
            raw: None,
        }
    }
}

/// What follows `{"update_id":N,` in a body: any kind, any bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUpdate {
    /// Second key.
    pub kind: String,
    /// Its value, JSON or not.
    #[serde(default)]
    pub value: String,
    /// Its value as hex, where it isn't UTF-8.
    #[serde(default)]
    pub value_hex: Option<String>,
    /// Lane; 0 is a lane of its own.
    #[serde(default)]
    pub lane: i64,
    /// Seconds to live.
    #[serde(default = "day")]
    pub life_seconds: i64,
}

fn day() -> i64 {
    86_400
}

/// What became of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enqueued {
    pub update_ids: Vec<i64>,
    /// Made but not queued: excluded by `allowed_updates`, too large, too old, queue full.
    pub discarded: usize,
}

/// The slot with everything that getWebhookInfo hides.
#[derive(Clone, Serialize, Deserialize)]
pub struct WebhookView {
    pub url: String,
    pub secret_token: String,
    pub max_connections: Option<u32>,
    /// Where deliveries go.
    pub ip_address: Option<String>,
    /// `ip_address` as passed.
    pub fixed_ip_address: String,
    pub allowed_updates: Option<Vec<String>>,
    pub has_custom_certificate: bool,
    pub verified: bool,
    pub pending_update_count: usize,
    pub last_error_message: Option<String>,
}

impl WebhookView {
    /// The slot as it is.
    pub fn of(state: &State) -> Self {
        let webhook = state.webhook.as_ref();
        let settings = webhook.map(|webhook| &webhook.settings);
        let text = |value: Option<&String>| value.cloned().unwrap_or_default();
        Self {
            url: text(settings.map(|settings| &settings.url)),
            secret_token: text(settings.map(|settings| &settings.secret_token)),
            max_connections: settings.map(|settings| settings.max_connections),
            ip_address: webhook.and_then(|webhook| webhook.ip).map(|address| address.to_string()),
            fixed_ip_address: text(settings.map(|settings| &settings.fixed_ip)),
            allowed_updates: state
                .allowed
                .shown()
                .map(|names| names.into_iter().map(str::to_owned).collect()),
            has_custom_certificate: settings.is_some_and(|settings| settings.certificate.is_some()),
            verified: webhook.is_some_and(|webhook| webhook.verified),
            pending_update_count: state.queue.len(),
            last_error_message: state.last_error.as_ref().map(|error| error.message.clone()),
        }
    }
}

// The URL's path and the token are secrets.
impl fmt::Debug for WebhookView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookView")
            .field("is_set", &!self.url.is_empty())
            .field("max_connections", &self.max_connections)
            .field("ip_address", &self.ip_address)
            .field("allowed_updates", &self.allowed_updates)
            .field("has_custom_certificate", &self.has_custom_certificate)
            .field("verified", &self.verified)
            .field("pending_update_count", &self.pending_update_count)
            .field("last_error_message", &self.last_error_message)
            .finish_non_exhaustive()
    }
}

/// How deliveries are to go on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryControl {
    /// Hold everything back, or go on.
    pub paused: Option<bool>,
    /// Let the next deliveries fail.
    pub fault: Option<DeliveryFault>,
    /// How many of them; one when absent.
    pub count: Option<usize>,
    /// Jump in the numbering.
    pub next_update_id: Option<i64>,
}

/// Revokes a bot's tokens, or makes them valid again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TokenRequest {
    pub action: TokenAction,
}

/// What happens to a token.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum TokenAction {
    /// 401 from now on; the webhook is erased, the queue stays.
    Revoke,
    /// Valid again, with an empty slot.
    Restore,
}

/// A call by another holder of the token.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HijackCall {
    pub method: String,
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// PEM, uploaded as `certificate`.
    #[serde(default)]
    pub certificate: Option<String>,
}

// The parameters may hold a webhook's secrets.
impl fmt::Debug for HijackCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HijackCall").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What that holder got.
#[derive(Clone, Serialize, Deserialize)]
pub struct HijackAnswer {
    pub status: u16,
    pub answer: Value,
}

// getWebhookInfo's answer holds the path.
impl fmt::Debug for HijackAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HijackAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}
