//! Pure: what the result of the steps means for the status and for Events.

use telegram_webhook_crds::{ConditionType, TelegramWebhookStatus};

use super::{
    Error, Progress,
    register::{self, Outcome},
    status::{Ending, Reason, Report},
    validate::{Mistake, Outlook},
};
use crate::{events::Notice, telegram::plan::Why};

/// How the pass ended. Notes the concerns that a mistake in the spec settles.
pub fn ending(result: &Result<Progress, Error>, report: &mut Report) -> Ending {
    match result {
        Ok(Progress::Suspended) => Ending::Suspended,
        Ok(Progress::Done(_)) => match report.findings.iter().find(|finding| finding.needed && !finding.fine)
        {
            None => Ending::Ready,
            Some(missing) => Ending::Waiting(missing.reason, missing.message.clone()),
        },
        Err(Error::Validate(invalid)) => {
            for mistake in &invalid.0 {
                if let Some(concern) = mistake.concern {
                    report.bad(concern, mistake.reason, mistake.message.clone());
                }
            }
            let (reason, message) = (invalid.reason(), invalid.to_string());
            let is = |outlook| move |mistake: &Mistake| mistake.outlook == outlook;
            if invalid.0.iter().any(is(Outlook::Lasting)) {
                Ending::Stalled(reason, message)
            } else if invalid.0.iter().any(is(Outlook::Passing)) {
                Ending::Waiting(reason, message)
            } else {
                Ending::Interrupted(reason, message)
            }
        }
        Err(Error::Register(error)) => registration(error),
        Err(
            error @ (Error::Dereference(_)
            | Error::Build(_)
            | Error::Apply(_)
            | Error::Status(_)
            | Error::Cleanup(_)
            | Error::Finalizer(_)
            | Error::Timeout),
        ) => Ending::Interrupted(error.reason(), error.to_string()),
    }
}

fn registration(error: &register::Error) -> Ending {
    use register::Error as E;
    let (reason, message) = (error.reason(), error.to_string());
    match error {
        E::TokenRejected | E::OtherBot(_) | E::Refused { .. } => Ending::Stalled(reason, message),
        E::Unconfirmed => Ending::Waiting(reason, message),
        E::Api(_) | E::Ledger(_) => Ending::Interrupted(reason, message),
    }
}

/// Status of the Ready condition.
pub fn ready(status: &TelegramWebhookStatus) -> &str {
    condition(status, ConditionType::Ready).map_or("Unknown", |ready| &ready.status)
}

/// Events: what was done at Telegram, and problems when they appear, not while they last.
pub fn notices(
    old: &TelegramWebhookStatus,
    new: &TelegramWebhookStatus,
    result: &Result<Progress, Error>,
) -> Vec<Notice> {
    const REGISTER: &str = "Register";
    let mut notices = Vec::new();
    if let Ok(Progress::Done(Outcome::Set(why))) = result {
        notices.push(match why {
            Why::New | Why::Changed => Notice::normal("Registered", REGISTER, "Telegram was told the webhook"),
            Why::Erased => Notice::warning(
                "WebhookRestored",
                REGISTER,
                "Telegram had no webhook any more and was told it again: somebody else holds the token, or it was renewed",
            ),
            Why::Replaced => Notice::warning(
                "WebhookReclaimed",
                REGISTER,
                "another webhook was set at Telegram and has been replaced: a program that calls setWebhook at its start, another cluster, or a stolen token",
            ),
        });
    }
    for type_ in [ConditionType::Stalled, ConditionType::Reconciling] {
        let Some(now) = condition(new, type_) else {
            continue;
        };
        let before = condition(old, type_);
        let appeared = before.is_none_or(|before| before.reason != now.reason);
        // waiting for pods is the ordinary course of things
        let ordinary = [Reason::PodsNotReady, Reason::SecretsNotLoaded, Reason::CertificateNotLoaded]
            .iter()
            .any(|reason| reason.to_string() == now.reason);
        if appeared && !ordinary {
            let reason = if now.reason == Reason::RegistrationRefused.to_string() {
                "RegistrationFailed"
            } else {
                &now.reason
            };
            notices.push(Notice::warning(reason, "Reconcile", now.message.clone()));
        }
    }
    notices.extend(trouble_with_delivery(old, new));
    notices.extend(change_of_hands(old, new));
    notices
}

/// Trouble with the CRM when it appears: the resource may be ready all the same, so nothing else would say so.
fn trouble_with_delivery(old: &TelegramWebhookStatus, new: &TelegramWebhookStatus) -> Option<Notice> {
    let now = condition(new, ConditionType::DeliveryHealthy)?;
    let before = condition(old, ConditionType::DeliveryHealthy).map(|before| before.reason.as_str());
    let letters = Reason::DeadLetters.to_string();
    let trouble = now.status == "False" || now.reason == letters;
    (trouble && before != Some(now.reason.as_str()))
        .then(|| Notice::warning(&now.reason, "Deliver", now.message.clone()))
}

/// The fallback has taken over from the CRM.
fn change_of_hands(old: &TelegramWebhookStatus, new: &TelegramWebhookStatus) -> Option<Notice> {
    let receives = Reason::FallbackReceives.to_string();
    let is_new = |status| {
        condition(status, ConditionType::FallbackReady).filter(|condition| condition.reason == receives)
    };
    let now = is_new(new)?;
    is_new(old).is_none().then(|| Notice::warning(&now.reason, "TakeOver", now.message.clone()))
}

fn condition(
    status: &TelegramWebhookStatus,
    type_: ConditionType,
) -> Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let type_ = type_.to_string();
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::reconcile::status::compute;

    fn status_of(old: &TelegramWebhookStatus, ending: &Ending) -> TelegramWebhookStatus {
        compute(old, 1, &Report::default(), ending, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_lasting_problem_is_announced_once() {
        let result = Err(Error::Register(register::Error::TokenRejected));
        let ending = ending(&result, &mut Report::default());
        let first = status_of(&TelegramWebhookStatus::default(), &ending);
        let notices_of =
            |old: &_, new: &_| notices(old, new, &result).into_iter().map(|n| n.reason).collect::<Vec<_>>();
        assert_eq!(notices_of(&TelegramWebhookStatus::default(), &first), ["TokenRejected"]);
        assert!(notices_of(&first, &status_of(&first, &ending)).is_empty());
    }

    #[test]
    fn what_is_not_fine_keeps_a_registered_webhook_from_being_ready() {
        let mut report = Report::default();
        report.bad(ConditionType::SidecarsReady, Reason::SidecarMissing, "m");
        let result = Ok(Progress::Done(Outcome::Kept));
        assert_eq!(ending(&result, &mut report), Ending::Waiting(Reason::SidecarMissing, "m".into()));
        assert_eq!(ending(&result, &mut Report::default()), Ending::Ready);
    }

    #[test]
    fn what_is_merely_doubtful_keeps_nothing_from_being_ready() {
        let mut report = Report::default();
        report.doubtful(ConditionType::SourceVisible, Reason::SourceHidden, "m");
        assert_eq!(ending(&Ok(Progress::Done(Outcome::Kept)), &mut report), Ending::Ready);
    }

    #[test]
    fn telegrams_silence_does_not_stall() {
        let result = Err(Error::Register(register::Error::Api(crate::telegram::ApiError::Timeout)));
        assert!(matches!(
            ending(&result, &mut Report::default()),
            Ending::Interrupted(Reason::BotApiUnavailable, _)
        ));
    }
}
