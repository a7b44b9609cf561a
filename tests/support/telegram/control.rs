//! The control API: what a test asks of the simulator and tells it, as JSON over GET and POST. Paths, bodies and answers
//! are listed in the module doc of [`crate::telegram`]; an error is `{"error": "..."}` with status 400 or 404.

mod client;
mod types;

use std::sync::Arc;

use http::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use client::{ControlClient, ControlTransport, HttpTransport};
pub use types::{
    BotRequest, BotView, DeliveryControl, Enqueue, Enqueued, HijackAnswer, HijackCall, RawUpdate,
    TokenAction, TokenRequest, WebhookView,
};

use super::{
    Simulator,
    arguments::Arguments,
    bot::Bot,
    faults::ApiFault,
    methods::{self, Reaction},
    record::{Caller, Delivery, Outcome},
};

/// The answer to a control request.
pub struct ControlAnswer {
    pub status: u16,
    pub body: String,
}

#[derive(Debug, thiserror::Error)]
enum ControlError {
    #[error("no such path or method")]
    NoSuchPath,
    #[error("no such bot")]
    NoSuchBot,
    #[error("{0}")]
    Invalid(String),
}

/// Which bot and which part of a list.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    bot: Option<i64>,
    method: Option<String>,
    outcome: Option<Outcome>,
    from: i64,
    limit: Option<usize>,
}

/// Answers one request; `path` is what follows `/control`.
pub async fn handle(
    simulator: &Simulator,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> ControlAnswer {
    match dispatch(simulator, method, path, query, body).await {
        Ok(body) => ControlAnswer { status: 200, body },
        Err(error) => ControlAnswer {
            status: match error {
                ControlError::Invalid(_) => 400,
                ControlError::NoSuchPath | ControlError::NoSuchBot => 404,
            },
            body: serde_json::json!({ "error": error.to_string() }).to_string(),
        },
    }
}

async fn dispatch(
    simulator: &Simulator,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Result<String, ControlError> {
    let query = parse_query(query)?;
    match (method.as_str(), path) {
        ("GET", "/bots") => return json(&simulator.bots()),
        ("POST", "/bots") => {
            let request: BotRequest = parse(body)?;
            let bot = simulator
                .add_bot(&request.token, request.username.as_deref())
                .map_err(|error| ControlError::Invalid(error.to_string()))?;
            return json(&BotView { id: bot.id, username: bot.username.clone(), revoked: false });
        }
        ("POST", "/reset") => {
            simulator.reset().await;
            return json(&());
        }
        ("POST", "/names/forget") => {
            simulator.forget_names();
            return json(&());
        }
        _ => {}
    }
    let bot = simulator.registry().bot(query.bot).ok_or(ControlError::NoSuchBot)?;
    match (method.as_str(), path) {
        ("GET", _) => read(&bot, path, &query),
        ("POST", _) => write(simulator, &bot, path, body).await,
        _ => Err(ControlError::NoSuchPath),
    }
}

fn read(bot: &Arc<Bot>, path: &str, query: &Query) -> Result<String, ControlError> {
    let state = bot.lock();
    let limit = query.limit.unwrap_or(usize::MAX);
    match path {
        "/deliveries" | "/refusals" => {
            let deliveries: Vec<&Delivery> = state
                .record
                .deliveries
                .range(query.from..)
                .map(|(_, delivery)| delivery)
                .filter(|delivery| query.outcome.is_none_or(|outcome| delivery.outcome == outcome))
                .filter(|delivery| {
                    path == "/deliveries" || delivery.attempts.iter().any(|attempt| attempt.error.is_some())
                })
                .take(limit)
                .collect();
            json(&deliveries)
        }
        "/summary" => json(&state.record.summary()),
        "/calls" => {
            let calls: Vec<_> = state
                .record
                .calls
                .iter()
                .filter(|call| {
                    query.method.as_ref().is_none_or(|method| call.method.eq_ignore_ascii_case(method))
                })
                .collect();
            json(&calls)
        }
        "/replies" => json(&state.record.replies),
        "/webhook" => json(&WebhookView::of(&state)),
        "/faults" => json(&state.api_faults),
        _ => Err(ControlError::NoSuchPath),
    }
}

async fn write(
    simulator: &Simulator,
    bot: &Arc<Bot>,
    path: &str,
    body: &[u8],
) -> Result<String, ControlError> {
    match path {
        "/updates" => {
            let request: Enqueue = parse(body)?;
            let enqueued =
                simulator.enqueue(bot, &request).map_err(|error| ControlError::Invalid(error.to_string()))?;
            json(&enqueued)
        }
        "/faults" => {
            let fault: ApiFault = parse(body)?;
            bot.lock().api_faults.push(fault);
            json(&())
        }
        "/faults/clear" => {
            let mut state = bot.lock();
            state.api_faults.clear();
            state.delivery_faults.clear();
            json(&())
        }
        "/delivery" => {
            let request: DeliveryControl = parse(body)?;
            control_delivery(bot, &request);
            json(&())
        }
        "/token" => {
            let request: TokenRequest = parse(body)?;
            simulator.set_revoked(bot.id, request.action == TokenAction::Revoke).await;
            json(&())
        }
        "/hijack" => {
            let request: HijackCall = parse(body)?;
            json(&hijack(bot, &request).await)
        }
        _ => Err(ControlError::NoSuchPath),
    }
}

/// Calls a method as another holder of the token.
pub async fn hijack(bot: &Arc<Bot>, request: &HijackCall) -> HijackAnswer {
    let parameters: Vec<(String, String)> = request
        .parameters
        .iter()
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), value)
        })
        .collect();
    let mut arguments =
        Arguments::from_pairs(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if let Some(pem) = &request.certificate {
        arguments.add_file("certificate", pem.as_bytes());
    }
    match methods::call(bot, &request.method, &arguments, Caller::Hijacker).await {
        Reaction::Answer(answer) => HijackAnswer { status: answer.status, answer: answer.json() },
        // faults don't hit a hijacker
        _ => HijackAnswer { status: 500, answer: serde_json::Value::Null },
    }
}

/// Pauses, resumes, or lets deliveries fail.
pub fn control_delivery(bot: &Bot, request: &DeliveryControl) {
    {
        let mut state = bot.lock();
        if let Some(paused) = request.paused {
            state.paused = paused;
        }
        if let Some(fault) = request.fault {
            let count = request.count.unwrap_or(1);
            state.delivery_faults.extend(std::iter::repeat_n(fault, count));
        }
        if let Some(id) = request.next_update_id {
            state.queue.set_next_id(id);
        }
    }
    bot.notify();
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| ControlError::Invalid(error.to_string()))
}

fn parse_query(query: &str) -> Result<Query, ControlError> {
    let mut fields = serde_json::Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let number = value.parse::<i64>().map(serde_json::Value::from);
        fields.insert(name.into_owned(), number.unwrap_or_else(|_| serde_json::Value::from(value.as_ref())));
    }
    serde_json::from_value(fields.into()).map_err(|error| ControlError::Invalid(error.to_string()))
}

fn json<T: Serialize>(value: &T) -> Result<String, ControlError> {
    serde_json::to_string(value).map_err(|error| ControlError::Invalid(error.to_string()))
}
