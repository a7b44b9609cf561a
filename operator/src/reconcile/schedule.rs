//! When to look at a resource again: soon while a sidecar is about to load its secrets, with growing pauses after failures, and
//! now and then in any case, because Secrets aren't watched.

use std::time::Duration;

use kube::{ResourceExt as _, runtime::controller::Action};
use telegram_webhook_crds::TelegramWebhook;

use super::{
    Context, Error, Progress,
    register::{self, Outcome},
    status::Reason,
};

/// A mounted Secret reaches a running pod within about a minute and a half.
const ACKNOWLEDGEMENT_POLL: Duration = Duration::from_secs(2);
/// Polls in a row before the pace slows down.
const QUICK_POLLS: u32 = 60;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Deletion has a deadline to keep.
const LONGEST_CLEANUP_PAUSE: Duration = Duration::from_secs(5);
/// Pauses vary by a tenth, so that many resources don't move in step.
const JITTER_DIVISOR: u32 = 10;

/// After a pass that went through.
pub fn next(context: &Context, uid: &str, progress: Progress) -> Action {
    match progress {
        // a change of the spec is an event
        Progress::Suspended => Action::await_change(),
        Progress::Done(Outcome::Waiting(Reason::SecretsNotLoaded | Reason::CertificateNotLoaded)) => {
            let polls = context.memory.update(uid, |memory| {
                memory.failures = 0;
                memory.polls = memory.polls.saturating_add(1);
                memory.polls
            });
            let pause = if polls <= QUICK_POLLS { ACKNOWLEDGEMENT_POLL } else { context.resync / 4 };
            Action::requeue(jittered(pause))
        }
        // pods are watched, Secrets aren't
        Progress::Done(_) => {
            context.memory.update(uid, |memory| (memory.failures, memory.polls) = (0, 0));
            Action::requeue(jittered(context.resync))
        }
    }
}

/// After a pass that failed.
pub fn after_failure(context: &Context, webhook: &TelegramWebhook, error: &Error) -> Action {
    let uid = webhook.uid().unwrap_or_default();
    let failures = context.memory.update(&uid, |memory| {
        memory.failures = memory.failures.saturating_add(1);
        memory.failures
    });
    let (namespace, name, reason) = (webhook.namespace(), webhook.name_any(), error.reason());
    tracing::info!(namespace, name, %reason, %error, failures, "pass failed");
    let asked = match error {
        Error::Register(error) => error.retry_after(),
        _ => None,
    };
    let longest = match error {
        // what a mistake needs is a change that may be in a Secret, and only a look shows those
        Error::Validate(_)
        | Error::Register(register::Error::TokenRejected | register::Error::Refused { .. }) => context.resync,
        Error::Cleanup(_) => LONGEST_CLEANUP_PAUSE,
        Error::Register(_)
        | Error::Dereference(_)
        | Error::Build(_)
        | Error::Apply(_)
        | Error::Status(_)
        | Error::Finalizer(_)
        | Error::Timeout => LONGEST_PAUSE,
    };
    Action::requeue(jittered(asked.unwrap_or_else(|| backoff(failures).min(longest))))
}

/// 1 s, 2 s, 4 s and so on.
fn backoff(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX))
        .min(LONGEST_PAUSE)
}

/// Never shorter: Telegram means what it says.
fn jittered(pause: Duration) -> Duration {
    // without randomness there is no jitter, which does no harm
    let random = getrandom::u32().unwrap_or_default();
    pause + pause / JITTER_DIVISOR * (random % 1024) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_second_to_five_minutes() {
        let seconds: Vec<_> =
            [1, 2, 3, 9, 10, 40, u32::MAX].map(|failures| backoff(failures).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300, 300]);
    }

    #[test]
    fn jitter_only_adds_and_at_most_a_tenth() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_mins(1));
            assert!((Duration::from_mins(1)..=Duration::from_secs(66)).contains(&pause), "{pause:?}");
        }
    }
}
