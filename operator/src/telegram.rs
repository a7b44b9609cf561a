//! Telegram's Bot API as far as a webhook needs it: tokens, the four methods, and what can go wrong with them.
//! The trait stands between the reconciler and the network, so that tests play Telegram themselves.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub mod client;
pub mod plan;
mod token;

pub use self::token::{BotToken, MalformedToken};

/// A bot at a Bot API server.
#[derive(Clone, Debug)]
pub struct Bot {
    /// Base URL of the server, without a slash at the end.
    pub server: String,
    /// The bot's token.
    pub token: BotToken,
}

/// The answer of `getMe`, as far as it matters here.
#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct BotUser {
    /// The bot's user id.
    pub id: i64,
    /// Its user name, without the @.
    #[serde(default)]
    pub username: Option<String>,
}

/// The answer of `getWebhookInfo`, as far as it matters here. The secret is never shown by Telegram.
#[derive(Deserialize, Clone, Default, PartialEq, Eq)]
pub struct WebhookInfo {
    /// Empty if no webhook is set.
    pub url: String,
    /// Whether somebody uploaded a certificate with the webhook.
    #[serde(default)]
    pub has_custom_certificate: bool,
    /// Absent if no webhook is set.
    #[serde(default)]
    pub max_connections: Option<u32>,
    /// The address that Telegram uses at present, given or resolved.
    #[serde(default)]
    pub ip_address: Option<String>,
    /// Absent for Telegram's default set.
    #[serde(default)]
    pub allowed_updates: Option<Vec<String>>,
}

/// The parameters of `setWebhook`: always the complete set, because Telegram resets what is left out.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WebhookParameters {
    /// The whole URL, its path being a secret.
    pub url: String,
    /// What Telegram sends in `X-Telegram-Bot-Api-Secret-Token`.
    pub secret_token: String,
    /// 1 to 100.
    pub max_connections: u32,
    /// Used by Telegram instead of resolving the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// Kinds of update; empty for Telegram's default set.
    pub allowed_updates: Vec<String>,
}

/// Why a call of the Bot API failed. Holds neither token nor URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 401: the token was revoked, or never existed.
    #[error("the Bot API server does not accept the token (401)")]
    Unauthorized,
    /// 404: no such bot, or not a Bot API server.
    #[error("the Bot API server knows no such bot (404)")]
    NotFound,
    /// 400: the parameters were refused. For setWebhook this means that the webhook set before is gone.
    #[error("the Bot API server refused the request: {0}")]
    BadRequest(String),
    /// 409: another call for the same bot got in the way.
    #[error("another call for the same bot interfered (409)")]
    Conflict,
    /// 429: too many calls.
    #[error("the Bot API server asks to wait before the next call (429)")]
    TooManyRequests(Duration),
    /// 5xx and anything else that is no answer of the Bot API.
    #[error("spec.bot.apiServer: the server failed with status {0}; it is asked again")]
    Server(u16),
    /// No connection, or it broke.
    #[error(
        "spec.bot.apiServer: no connection to the server; let the operator reach it, or give it a proxy by the chart's extraEnv (HTTPS_PROXY)"
    )]
    Transport,
    /// No answer in time.
    #[error("spec.bot.apiServer: no answer from the server in time; it is asked again")]
    Timeout,
    /// An answer that isn't the documented JSON.
    #[error("spec.bot.apiServer: the answer is not a Bot API server's; check the address")]
    Malformed,
}

/// The Bot API's methods for webhooks.
pub trait BotApi: Send + Sync {
    /// `getMe`: whose token this is.
    fn get_me<'a>(&'a self, bot: &'a Bot) -> BoxFuture<'a, Result<BotUser, ApiError>>;
    /// `getWebhookInfo`: what is set at present.
    fn get_webhook_info<'a>(&'a self, bot: &'a Bot) -> BoxFuture<'a, Result<WebhookInfo, ApiError>>;
    /// `setWebhook`: replaces what is set. A refused call leaves nothing set.
    fn set_webhook<'a>(
        &'a self,
        bot: &'a Bot,
        parameters: &'a WebhookParameters,
    ) -> BoxFuture<'a, Result<(), ApiError>>;
    /// `deleteWebhook`: leaves nothing set, and keeps the pending updates.
    fn delete_webhook<'a>(&'a self, bot: &'a Bot) -> BoxFuture<'a, Result<(), ApiError>>;
}

/// Names a webhook's URL without giving it away: its path is random.
pub fn url_digest(url: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(url)))
}

// === impl Bot ===

impl Bot {
    /// Names this token at this server without giving it away: for remembering what was tried, in memory only.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.server.as_bytes());
        hash.update([0]);
        hash.update(self.token.expose().as_bytes());
        hash.finalize().into()
    }
}

// === impl WebhookInfo ===

// The URL's path is a secret.
impl fmt::Debug for WebhookInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookInfo")
            .field("set", &!self.url.is_empty())
            .field("has_custom_certificate", &self.has_custom_certificate)
            .field("max_connections", &self.max_connections)
            .field("ip_address", &self.ip_address)
            .field("allowed_updates", &self.allowed_updates)
            .finish_non_exhaustive()
    }
}

// === impl WebhookParameters ===

impl WebhookParameters {
    /// Names this set of parameters without giving it away.
    pub fn fingerprint(&self) -> String {
        // serialising plain strings and numbers to memory has no way to fail
        hex::encode(Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }

    /// Names the URL without giving it away.
    pub fn url_digest(&self) -> String {
        url_digest(&self.url)
    }
}

// The URL's path and the secret token are secrets.
impl fmt::Debug for WebhookParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookParameters")
            .field("max_connections", &self.max_connections)
            .field("ip_address", &self.ip_address)
            .field("allowed_updates", &self.allowed_updates)
            .finish_non_exhaustive()
    }
}

// === impl ApiError ===

impl ApiError {
    /// The token is no good.
    pub fn rejects_token(&self) -> bool {
        matches!(self, Self::Unauthorized | Self::NotFound)
    }

    /// Stable name for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::BadRequest(_) => "bad_request",
            Self::Conflict => "conflict",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::Server(_) => "server_error",
            Self::Transport => "transport",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678";

    #[test]
    fn debug_output_holds_no_secret() {
        let bot = Bot { server: "https://api.telegram.org".into(), token: BotToken::parse(TOKEN).unwrap() };
        let parameters = WebhookParameters {
            url: "https://hooks.example.com/telegram/PATH".into(),
            secret_token: "SECRET".into(),
            max_connections: 40,
            ip_address: None,
            allowed_updates: vec![],
        };
        let info = WebhookInfo { url: parameters.url.clone(), ..WebhookInfo::default() };
        let shown = format!("{bot:?} {parameters:?} {info:?}");
        for secret in ["ABCdef", "PATH", "SECRET"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
