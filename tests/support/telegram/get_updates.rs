//! getUpdates: refused while a webhook is set, one poll at a time (reference/telegram.md sections 1.1 and 9).

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{
    answer::ApiAnswer, arguments::Arguments, bot::Bot, kinds::KindSet, record::Outcome, set_webhook::conflict,
};

const MAX_TIMEOUT: u64 = 50;
const MAX_UPDATES: usize = 100;

/// Fetches updates, waiting for one if `timeout` says so.
pub async fn get_updates(bot: &Bot, arguments: &Arguments) -> ApiAnswer {
    let offset: i64 = arguments.get("offset").parse().unwrap_or_default();
    let limit = match arguments.get("limit").parse::<usize>() {
        Ok(limit) => limit.clamp(1, MAX_UPDATES),
        Err(_) => MAX_UPDATES,
    };
    let wait: u64 = arguments.get("timeout").parse().unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(wait.min(MAX_TIMEOUT));
    let mut queued = bot.queued.subscribe();

    let poll = {
        let mut state = bot.lock();
        if let Some(allowed) = KindSet::parse(arguments.get("allowed_updates")) {
            state.allowed = allowed;
        }
        if state.webhook.is_some() {
            None
        } else {
            state.end_poll("other getUpdates request; make sure that only one bot instance is running");
            let below = if offset < 0 {
                let count = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
                state.queue.nth_from_end(count).unwrap_or_default()
            } else {
                offset
            };
            let fetched = state.queue.forget_below(below);
            state.record.ended(fetched, Outcome::Fetched);
            Some(state.poll)
        }
    };
    let Some(poll) = poll else {
        let reason = "can't use getUpdates method while webhook is active; \
                      use deleteWebhook to delete the webhook first";
        return conflict(bot, reason).await;
    };
    // the poll that this one ended must notice
    bot.notify();
    loop {
        let ended_by = {
            let mut state = bot.lock();
            if state.poll == poll {
                let now = bot.server.clock.unix();
                let (events, expired) = state.queue.read(offset.max(0), limit, now);
                state.record.ended(expired, Outcome::Dropped);
                if !events.is_empty() || Instant::now() >= deadline {
                    let updates: Vec<_> = events
                        .iter()
                        .map(|event| String::from_utf8_lossy(&event.body).into_owned())
                        .collect();
                    return ApiAnswer::ok(&format!("[{}]", updates.join(",")));
                }
                None
            } else {
                Some(state.poll_ended_by)
            }
        };
        if let Some(by) = ended_by {
            return conflict(bot, &format!("terminated by {by}")).await;
        }
        // at the deadline the loop answers with what there is
        timeout_at(deadline, queued.changed()).await.ok();
    }
}
