//! Telegram's Bot API as far as a webhook needs it: tokens, the four methods, and what can go wrong with them.
//! The trait stands between the reconciler and the network, so that tests play Telegram themselves.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub mod client;
pub mod plan;

/// A token is the bot's user id, a colon and at least this many characters.
const MIN_TOKEN_SECRET: usize = 35;
/// Longer tokens are refused by the server unseen.
const MAX_TOKEN: usize = 80;

/// A bot's token, whose shape has been checked. Its Debug output shows the bot's id alone.
#[derive(Clone)]
pub struct BotToken {
    bot_id: i64,
    token: SecretString,
}

/// The text isn't a bot token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a bot token: expected the form <digits>:<35 or more of A-Z a-z 0-9 _ ->")]
pub struct MalformedToken;

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
    #[error("the Bot API server failed with status {0}")]
    Server(u16),
    /// No connection, or it broke.
    #[error("no connection to the Bot API server")]
    Transport,
    /// No answer in time.
    #[error("no answer from the Bot API server in time")]
    Timeout,
    /// An answer that isn't the documented JSON.
    #[error("the Bot API server's answer is not the documented JSON")]
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

// === impl BotToken ===

impl BotToken {
    /// Checks the shape of a token, as far as it can be known without asking Telegram.
    pub fn parse(text: &str) -> Result<Self, MalformedToken> {
        let (id, secret) = text.split_once(':').ok_or(MalformedToken)?;
        let digits = !id.is_empty() && !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
        let secret_ok = secret.len() >= MIN_TOKEN_SECRET
            && secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !digits || !secret_ok || text.len() > MAX_TOKEN {
            return Err(MalformedToken);
        }
        let bot_id = id.parse().map_err(|_| MalformedToken)?;
        Ok(Self { bot_id, token: text.into() })
    }

    /// The bot's user id, the digits in front of the colon.
    pub fn bot_id(&self) -> i64 {
        self.bot_id
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        self.token.expose_secret()
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BotToken({}:***)", self.bot_id)
    }
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
    fn a_token_gives_the_bots_id() {
        assert_eq!(BotToken::parse(TOKEN).unwrap().bot_id(), 123_456);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in [
            "",
            "123456",
            "123456:short",
            ":ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
            "0123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
            "12x456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
            "123456:ABCdefGHIjklMNOpqrSTUvwxYZ01234567 ",
            "123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678\n",
            "99999999999999999999:ABCdefGHIjklMNOpqrSTUvwxYZ012345678",
        ] {
            assert_eq!(BotToken::parse(text).unwrap_err(), MalformedToken, "{text:?}");
        }
    }

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
