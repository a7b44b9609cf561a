//! setWebhook and deleteWebhook, in the order of reference/telegram.md section 1.1. The order is the point: the working
//! webhook is gone before the new parameters are looked at.

mod parameters;
mod start;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    answer::ApiAnswer,
    arguments::Arguments,
    bot::{Bot, State, Webhook},
    kinds::KindSet,
};
use parameters::Parameters;
use start::BadWebhook;
pub use start::restart;

const FLOOD: Duration = Duration::from_secs(1);
/// A second conflict within this is answered after as long.
const CONFLICT: Duration = Duration::from_secs(3);

/// Sets the webhook, or with an empty URL deletes it.
pub async fn set_webhook(bot: &Arc<Bot>, arguments: &Arguments) -> ApiAnswer {
    let parameters = Parameters::read(arguments, bot.server.local);
    let (generation, old) = {
        let mut state = bot.lock();
        if !parameters.url.is_empty()
            && let Err(retry_after) = state.pass_flood_control()
        {
            return ApiAnswer::too_many_requests(retry_after);
        }
        if state.is_repetition(&parameters) {
            if let Some(allowed) = parameters.allowed_updates {
                state.allowed = allowed;
            }
            return ApiAnswer::done(if parameters.url.is_empty() {
                "Webhook is already deleted"
            } else {
                "Webhook is already set"
            });
        }
        state.end_poll("setWebhook request");
        let old = state.take_webhook();
        if parameters.drop_pending_updates {
            state.clear_queue();
        }
        (state.generation, old)
    };
    // a long poll that must end
    bot.notify();
    if let Some(engine) = old.and_then(|webhook| webhook.engine) {
        engine.stop().await;
    }
    if parameters.url.is_empty() {
        return ApiAnswer::done("Webhook was deleted");
    }
    let (settings, url) = match parameters.validate() {
        Ok(valid) => valid,
        Err(reason) => return ApiAnswer::error(400, &format!("Bad Request: {reason}")),
    };
    let webhook = Webhook { settings, url, generation, ip: None, tls: None, engine: None, verified: false };
    if !bot.lock().install(webhook, parameters.allowed_updates) {
        return overtaken(bot).await;
    }
    let started = start::verify_and_start(bot, generation).await;
    let answer = bot.lock().conclude(generation, started);
    match answer {
        Some(answer) => answer,
        None => overtaken(bot).await,
    }
}

async fn overtaken(bot: &Bot) -> ApiAnswer {
    conflict(bot, "terminated by other setWebhook").await
}

/// 409; repeated within 3 seconds it is answered 3 seconds late.
pub async fn conflict(bot: &Bot, reason: &str) -> ApiAnswer {
    let now = Instant::now();
    let last = bot.lock().last_conflict_at.replace(now);
    if last.is_some_and(|last| now < last + CONFLICT) {
        sleep(CONFLICT).await;
    }
    ApiAnswer::error(409, &format!("Conflict: {reason}"))
}

impl State {
    /// One call a second; it counts whatever comes of it.
    fn pass_flood_control(&mut self) -> Result<(), u64> {
        let now = Instant::now();
        if self.next_set_at.is_some_and(|at| now < at) {
            return Err(1);
        }
        self.next_set_at = Some(now + FLOOD);
        Ok(())
    }

    /// Fills the slot, unless a later call has touched it. The webhook is visible from here on, before it is verified.
    fn install(&mut self, webhook: Webhook, allowed: Option<KindSet>) -> bool {
        let ours = self.generation == webhook.generation;
        if ours {
            self.allowed = allowed.unwrap_or(self.allowed);
            self.webhook = Some(webhook);
        }
        ours
    }

    /// The answer once the verification is over; a failed one leaves an empty slot. None when a later call took over.
    fn conclude(&mut self, generation: u64, started: Result<(), BadWebhook>) -> Option<ApiAnswer> {
        if self.generation != generation {
            return None;
        }
        Some(match started {
            Ok(()) => ApiAnswer::done("Webhook was set"),
            Err(reason) => {
                self.take_webhook();
                ApiAnswer::error(400, &format!("Bad Request: bad webhook: {reason}"))
            }
        })
    }

    fn is_repetition(&self, new: &Parameters) -> bool {
        let Some(webhook) = &self.webhook else {
            return new.url.is_empty() && !new.drop_pending_updates;
        };
        let old = &webhook.settings;
        webhook.verified
            && old.url == new.url
            && old.max_connections == new.max_connections
            && old.fixed_ip == new.fixed_ip
            && old.secret_token == new.secret_token
            && old.certificate.is_none()
            && new.certificate.is_none()
            && !new.drop_pending_updates
    }
}
