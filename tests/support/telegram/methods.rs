//! The Bot API as a function: token, method and arguments in, an answer out. Faults that a test injected come first.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    answer::ApiAnswer,
    arguments::Arguments,
    bot::{Bot, Session},
    faults::{self, ApiFault, ApiFaultKind},
    get_updates::get_updates,
    info::{get_me, get_webhook_info},
    record::{ApiCall, Caller},
    set_webhook::{restart, set_webhook},
};

/// How long `close` is refused after the start, and how long `Logged out` is answered.
const TEN_MINUTES: Duration = Duration::from_mins(10);

/// What a caller gets.
#[derive(Debug)]
pub enum Reaction {
    /// An answer.
    Answer(ApiAnswer),
    /// A status without a body.
    Empty(u16),
    /// A front end's error page.
    Html502,
    /// Nothing for so long, then a closed connection.
    Hang(Duration),
    /// A reset connection.
    Reset,
}

/// Calls a method and records the call.
pub async fn call(bot: &Arc<Bot>, method: &str, arguments: &Arguments, by: Caller) -> Reaction {
    let fault = match by {
        Caller::Client => faults::take(&mut bot.lock().api_faults, method),
        Caller::Hijacker => None,
    };
    let answer = match &fault {
        Some(fault) if fault.kind == ApiFaultKind::Refused => Some(refuse(bot, arguments).await),
        Some(fault) if !fault.after_effect => None,
        _ => Some(execute(bot, method, arguments, by).await),
    };
    let reaction = match (&fault, &answer) {
        (Some(fault), answer) => react(fault, answer.as_ref()),
        (None, Some(answer)) => Reaction::Answer(answer.clone()),
        (None, None) => Reaction::Reset,
    };
    record(bot, method, arguments, by, fault.as_ref(), &reaction);
    reaction
}

async fn execute(bot: &Arc<Bot>, method: &str, arguments: &Arguments, by: Caller) -> ApiAnswer {
    let session = bot.lock().session;
    match session {
        Session::LoggedOut(at) if at.elapsed() < TEN_MINUTES => return ApiAnswer::error(400, "Logged out"),
        Session::LoggedOut(_) | Session::Closed => {
            // any call brings the bot back
            bot.lock().session = Session::Open;
            restart(bot);
        }
        Session::Open => {}
    }
    match method.to_ascii_lowercase().as_str() {
        "getme" => get_me(bot),
        "setwebhook" => set_webhook(bot, arguments).await,
        "deletewebhook" => {
            let drop = arguments.get("drop_pending_updates");
            set_webhook(bot, &Arguments::from_pairs([("drop_pending_updates", drop)])).await
        }
        "getwebhookinfo" => get_webhook_info(bot),
        "getupdates" => get_updates(bot, arguments).await,
        "close" => close(bot, by).await,
        "logout" => log_out(bot).await,
        _ => ApiAnswer::error(404, "Not Found: method not found"),
    }
}

/// Stops delivering but keeps the webhook. A hijacker may at once: a test can't wait ten minutes.
async fn close(bot: &Bot, by: Caller) -> ApiAnswer {
    let open_for = bot.started.elapsed();
    if by == Caller::Client && open_for < TEN_MINUTES {
        return ApiAnswer::too_many_requests(TEN_MINUTES.saturating_sub(open_for).as_secs().max(1));
    }
    let engine = {
        let mut state = bot.lock();
        state.session = Session::Closed;
        state.webhook.as_mut().and_then(|webhook| webhook.engine.take())
    };
    if let Some(engine) = engine {
        engine.stop().await;
    }
    ApiAnswer::ok("true")
}

/// Erases the webhook and the queue.
async fn log_out(bot: &Bot) -> ApiAnswer {
    erase_webhook(bot).await;
    let mut state = bot.lock();
    state.session = Session::LoggedOut(Instant::now());
    state.clear_queue();
    ApiAnswer::ok("true")
}

/// What a revoked token does: the webhook goes, the queue stays.
pub async fn erase_webhook(bot: &Bot) {
    let webhook = {
        let mut state = bot.lock();
        state.end_poll("logOut");
        state.take_webhook()
    };
    bot.notify();
    if let Some(engine) = webhook.and_then(|webhook| webhook.engine) {
        engine.stop().await;
    }
}

/// Forgets everything about a bot: no webhook, no updates, no history.
pub async fn reset(bot: &Bot) {
    erase_webhook(bot).await;
    let mut state = bot.lock();
    let generation = state.generation;
    let poll = state.poll;
    *state = super::bot::State { generation, poll, ..Default::default() };
}

/// What setWebhook does with a secret token that it refuses.
async fn refuse(bot: &Arc<Bot>, arguments: &Arguments) -> ApiAnswer {
    let url = arguments.get("url");
    set_webhook(bot, &Arguments::from_pairs([("url", url), ("secret_token", "?")])).await
}

fn react(fault: &ApiFault, answer: Option<&ApiAnswer>) -> Reaction {
    match fault.kind {
        ApiFaultKind::TooManyRequests { retry_after } => {
            Reaction::Answer(ApiAnswer::too_many_requests(retry_after))
        }
        ApiFaultKind::Status { status } => {
            let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            Reaction::Answer(ApiAnswer::error(status, reason.unwrap_or("Error")))
        }
        ApiFaultKind::EmptyStatus { status } => Reaction::Empty(status),
        ApiFaultKind::Html502 => Reaction::Html502,
        ApiFaultKind::Timeout { seconds } => Reaction::Hang(Duration::from_secs(seconds)),
        ApiFaultKind::Reset => Reaction::Reset,
        ApiFaultKind::Refused => answer.map_or(Reaction::Reset, |answer| Reaction::Answer(answer.clone())),
    }
}

fn record(
    bot: &Bot,
    method: &str,
    arguments: &Arguments,
    by: Caller,
    fault: Option<&ApiFault>,
    reaction: &Reaction,
) {
    let (status, description) = match reaction {
        Reaction::Answer(answer) => (Some(answer.status), answer.description()),
        Reaction::Empty(status) => (Some(*status), String::new()),
        Reaction::Html502 => (Some(502), String::new()),
        Reaction::Hang(_) | Reaction::Reset => (None, String::new()),
    };
    tracing::info!(bot_id = bot.id, method, ?by, status, description, "call");
    let call = ApiCall {
        at: bot.server.clock.unix(),
        method: method.to_owned(),
        by,
        parameters: arguments
            .pairs()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect(),
        files: arguments.files().iter().map(|file| (file.field.clone(), file.content.len())).collect(),
        status,
        description,
        fault: fault.map(|fault| format!("{:?}", fault.kind)),
    };
    bot.lock().record.calls.push(call);
}
