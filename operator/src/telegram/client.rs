//! The Bot API over HTTP. The token is part of every URL, so no URL leaves this module, and what the server says is
//! searched for secrets before it goes into an error.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::{ApiError, Bot, BotApi, BotUser, WebhookInfo, WebhookParameters};
use crate::{
    http::{self, read_at_most},
    metrics::Metrics,
};

/// setWebhook may take as long as Telegram's look-up of the host.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Telegram allows one setWebhook per second and bot; the margin is for the two clocks.
const SET_INTERVAL: Duration = Duration::from_millis(1_100);
/// Answers are small; more is not a Bot API server's.
const MAX_ANSWER: usize = 1 << 20;
/// What of its words goes into a status.
const MAX_DESCRIPTION: usize = 200;
/// When a 429 doesn't say how long.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Nobody waits longer than this for a 429.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// When setWebhook may be called next for one bot. Locked for as long as a call is under way.
type Pace = Arc<Mutex<Option<Instant>>>;

/// Talks to Bot API servers.
pub struct HttpBotApi {
    http: reqwest::Client,
    metrics: Arc<Metrics>,
    paces: std::sync::Mutex<HashMap<BotKey, Pace>>,
    /// Until when Telegram asks to be left alone with a bot.
    floods: std::sync::Mutex<HashMap<BotKey, Instant>>,
}

/// Server and bot.
type BotKey = (String, i64);

/// Every answer's envelope.
#[derive(Deserialize)]
struct Answer<T> {
    ok: bool,
    result: Option<T>,
    error_code: Option<u16>,
    description: Option<String>,
    parameters: Option<AnswerParameters>,
}

#[derive(Deserialize)]
struct AnswerParameters {
    retry_after: Option<u64>,
}

/// The method's name in the URL and in metrics.
#[derive(Clone, Copy)]
enum Method {
    GetMe,
    GetWebhookInfo,
    SetWebhook,
    DeleteWebhook,
}

/// The form of `setWebhook` on the wire. `drop_pending_updates` isn't there: we never lose what is pending.
#[derive(Serialize)]
struct SetWebhook<'a> {
    url: &'a str,
    secret_token: &'a str,
    max_connections: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<&'a str>,
    allowed_updates: &'a [String],
}

#[derive(Serialize)]
struct Nothing {}

// === impl HttpBotApi ===

impl HttpBotApi {
    /// Makes the client; fails only if TLS can't be set up.
    pub fn new(metrics: Arc<Metrics>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("telegram-webhook-operator/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            // the URL holds the token: it goes to the server that was named and to no other
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { http, metrics, paces: std::sync::Mutex::default(), floods: std::sync::Mutex::default() })
    }

    async fn call<T: DeserializeOwned>(
        &self,
        bot: &Bot,
        method: Method,
        parameters: &impl Serialize,
        secrets: &[&str],
    ) -> Result<T, ApiError> {
        self.check_flood(bot)?;
        let result = self.send(bot, method, parameters, secrets).await;
        if let Err(ApiError::TooManyRequests(wait)) = &result {
            lock(&self.floods).insert(key(bot), Instant::now() + *wait);
        }
        let outcome = result.as_ref().map_or_else(ApiError::outcome, |_| "ok");
        self.metrics.bot_api_call(method.name(), outcome);
        result
    }

    async fn send<T: DeserializeOwned>(
        &self,
        bot: &Bot,
        method: Method,
        parameters: &impl Serialize,
        secrets: &[&str],
    ) -> Result<T, ApiError> {
        let url = format!("{}/bot{}/{}", bot.server, bot.token.expose(), method.name());
        let response = self.http.post(url).json(parameters).send().await.map_err(|e| transport(&e))?;
        let status = response.status().as_u16();
        let body = match read_at_most(response, MAX_ANSWER).await {
            Ok(body) => body,
            Err(http::Error::Broken(error)) => return Err(transport(&error)),
            Err(http::Error::TooLong) if status == 200 => return Err(ApiError::Malformed),
            Err(http::Error::TooLong) => return Err(ApiError::Server(status)),
        };
        match serde_json::from_slice::<Answer<T>>(&body) {
            Ok(Answer { ok: true, result: Some(result), .. }) => Ok(result),
            Ok(Answer { ok: true, .. }) => Err(ApiError::Malformed),
            Ok(answer) => Err(refusal(
                answer.error_code.unwrap_or(status),
                answer.description.unwrap_or_default(),
                answer.parameters.and_then(|p| p.retry_after),
                &[&[bot.token.expose()], secrets].concat(),
            )),
            Err(_) if status == 200 => Err(ApiError::Malformed),
            // a proxy, or another server: only the Bot API's own words mean that a token is no good
            Err(_) if rejects_token(status) => Err(ApiError::Server(status)),
            Err(_) => Err(refusal(status, String::new(), None, &[])),
        }
    }

    /// A call during the time that Telegram asked for makes that time longer, so it isn't made.
    fn check_flood(&self, bot: &Bot) -> Result<(), ApiError> {
        let now = Instant::now();
        let mut floods = lock(&self.floods);
        floods.retain(|_, until| *until > now);
        match floods.get(&key(bot)) {
            Some(until) => Err(ApiError::TooManyRequests(until.duration_since(now))),
            None => Ok(()),
        }
    }

    fn pace(&self, bot: &Bot) -> Pace {
        let mut paces = lock(&self.paces);
        // who has waited its second leaves nothing to remember
        paces.retain(|_, pace| match pace.try_lock() {
            Ok(next) => next.is_some_and(|at| at > Instant::now()),
            Err(_) => true,
        });
        Arc::clone(paces.entry(key(bot)).or_default())
    }
}

impl BotApi for HttpBotApi {
    fn get_me<'a>(&'a self, bot: &'a Bot) -> BoxFuture<'a, Result<BotUser, ApiError>> {
        Box::pin(self.call(bot, Method::GetMe, &Nothing {}, &[]))
    }

    fn get_webhook_info<'a>(&'a self, bot: &'a Bot) -> BoxFuture<'a, Result<WebhookInfo, ApiError>> {
        Box::pin(self.call(bot, Method::GetWebhookInfo, &Nothing {}, &[]))
    }

    fn set_webhook<'a>(
        &'a self,
        bot: &'a Bot,
        parameters: &'a WebhookParameters,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move {
            let pace = self.pace(bot);
            let mut next = pace.lock().await;
            if let Some(at) = *next {
                sleep_until(at).await;
            }
            let WebhookParameters { url, secret_token, max_connections, ip_address, allowed_updates } =
                parameters;
            let form = SetWebhook {
                url,
                secret_token,
                max_connections: *max_connections,
                ip_address: ip_address.as_deref(),
                allowed_updates,
            };
            let path = url.rsplit('/').next().unwrap_or_default();
            let result = self.call::<bool>(bot, Method::SetWebhook, &form, &[url, secret_token, path]).await;
            *next = Some(Instant::now() + SET_INTERVAL);
            result.map(|_| ())
        })
    }

    fn delete_webhook<'a>(&'a self, bot: &'a Bot) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(
            async move { self.call::<bool>(bot, Method::DeleteWebhook, &Nothing {}, &[]).await.map(|_| ()) },
        )
    }
}

// === impl Method ===

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::GetMe => "getMe",
            Self::GetWebhookInfo => "getWebhookInfo",
            Self::SetWebhook => "setWebhook",
            Self::DeleteWebhook => "deleteWebhook",
        }
    }
}

fn key(bot: &Bot) -> BotKey {
    (bot.server.clone(), bot.token.bot_id())
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn transport(error: &reqwest::Error) -> ApiError {
    if error.is_timeout() { ApiError::Timeout } else { ApiError::Transport }
}

fn rejects_token(status: u16) -> bool {
    matches!(status, 401 | 404)
}

fn refusal(status: u16, description: String, retry_after: Option<u64>, secrets: &[&str]) -> ApiError {
    match status {
        401 => ApiError::Unauthorized,
        404 => ApiError::NotFound,
        409 => ApiError::Conflict,
        429 => ApiError::TooManyRequests(
            retry_after.map_or(DEFAULT_RETRY_AFTER, |s| Duration::from_secs(s).min(MAX_RETRY_AFTER)),
        ),
        400 => ApiError::BadRequest(redact(description, secrets)),
        status => ApiError::Server(status),
    }
}

/// The server may quote what it was sent.
fn redact(text: String, secrets: &[&str]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text, |text, secret| text.replace(secret, "***"))
        .chars()
        .take(MAX_DESCRIPTION)
        .collect()
}

#[cfg(test)]
mod tests;
