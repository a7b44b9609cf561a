//! Step 5, with the Bot API: makes Telegram's one webhook for this bot the one that was applied, and notes the two conditions
//! that speak of Telegram. How is in `ensure`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use telegram_webhook_crds::{ConditionType, RegistrationStatus};

use super::{
    acknowledgement::Acknowledgement,
    apply::{Applied, Ledger},
    memory::Memory,
    status::{Reason, Report},
    stored::Accepted,
    validate::ValidatedWebhook,
};
use crate::{
    kubernetes,
    telegram::{ApiError, Bot, BotApi, BotUser, plan::Why},
};

mod ensure;

use self::ensure::Situation;

/// What this step works with.
pub struct Telegram<'a> {
    /// The Bot API.
    pub api: &'a dyn BotApi,
    /// What is remembered of the resource.
    pub memory: &'a Memory,
    /// The resource.
    pub uid: &'a str,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The server knows.
    Known(BotUser),
    /// The server doesn't answer.
    Unknown(ApiError),
}

/// What this step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Telegram had it already.
    Kept,
    /// Telegram was told.
    Set(Why),
    /// Telegram wasn't asked: the sidecars aren't ready for what it would send.
    Waiting(Reason),
}

/// Why Telegram doesn't have it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token is no good.
    #[error(
        "spec.bot.tokenSecretRef: the Bot API server rejects the token; get a new one from @BotFather and put it into the Secret, or check spec.bot.apiServer; the same token is tried again within 10 minutes"
    )]
    TokenRejected,
    /// The server says that the token is another bot's.
    #[error(
        "spec.bot.apiServer: the Bot API server answers for bot {0}, which is not the token's; check the server"
    )]
    OtherBot(i64),
    /// Telegram refuses the parameters.
    #[error("spec.endpoint: Telegram refuses the webhook: {description}; {}; it is tried again after 5 minutes, then ever more seldom, or at once when spec.endpoint changes", if *.working { "the one that worked before is in place" } else { "none is in place" })]
    Refused {
        /// Telegram's words.
        description: String,
        /// Whether the former webhook is in place.
        working: bool,
    },
    /// Telegram said yes, and shows something else.
    #[error("Telegram accepted the webhook, but shows another one: somebody else holds the token too")]
    Unconfirmed,
    /// The call failed.
    #[error("{0}")]
    Api(ApiError),
    /// Telegram has it, but that couldn't be written down.
    #[error("Telegram has the webhook, but it could not be noted: {0}")]
    Ledger(kubernetes::Error),
}

/// Asks whose the token is, and notes whether it is valid. Fails only if the token is no good: a server that doesn't answer
/// must not keep pods from starting.
pub async fn identify(
    telegram: &Telegram<'_>,
    webhook: &ValidatedWebhook,
    report: &mut Report,
) -> Result<Identity, Error> {
    match telegram.identify(&webhook.bot).await {
        Ok(user) => {
            report.fine(
                ConditionType::TokenValid,
                Reason::TokenAccepted,
                "the Bot API server accepts the token",
            );
            Ok(Identity::Known(user))
        }
        Err(Error::Api(error)) => Ok(Identity::Unknown(error)),
        Err(error) => Err(noted(error, report)),
    }
}

/// Registers, and notes whether it is.
pub async fn register(
    telegram: &Telegram<'_>,
    ledger: &dyn Ledger,
    webhook: &ValidatedWebhook,
    applied: &Applied,
    (identity, acknowledgement): (Identity, Acknowledgement),
    report: &mut Report,
) -> Result<Outcome, Error> {
    let user = match identity {
        Identity::Known(user) => user,
        Identity::Unknown(error) => return Err(Error::Api(error)),
    };
    let stored = webhook.stored.as_ref();
    if let Acknowledgement::Missing(reason) = acknowledgement {
        if let Some(accepted) = stored.and_then(|stored| stored.in_use(&webhook.bot)) {
            heal(telegram, &webhook.bot, (accepted, &applied.wanted), report).await;
        }
        return Ok(Outcome::Waiting(reason));
    }
    let situation = Situation {
        accepted: stored.and_then(|stored| stored.accepted.as_ref()),
        refused: stored.and_then(|stored| stored.refused.as_ref()),
        serves_certificate: acknowledgement == Acknowledgement::Complete,
    };
    let outcome = telegram
        .ensure(ledger, &webhook.bot, &applied.wanted, situation)
        .await
        .map_err(|error| noted(error, report))?;
    if let Outcome::Waiting(reason) = outcome {
        report.bad(
            ConditionType::WebhookRegistered,
            reason,
            "Telegram is told once every ready sidecar serves the certificate of spec.endpoint.tls.secretRef",
        );
        return Ok(outcome);
    }
    has_it(report);
    report.registration = Some(registration(webhook, applied, user, outcome));
    Ok(outcome)
}

/// Some pods lack what is wanted, but the Service may lead to others that have what Telegram accepted last: it is put back if it
/// was erased. What is waited for stays the ending of the pass, so that a failure of this is left to the next one.
async fn heal(
    telegram: &Telegram<'_>,
    bot: &Bot,
    (accepted, wanted): (&Accepted, &Accepted),
    report: &mut Report,
) {
    match telegram.put_back(bot, accepted).await {
        Ok(true) if accepted == wanted => has_it(report),
        Ok(true) => {}
        Ok(false) => report.bad(
            ConditionType::WebhookRegistered,
            Reason::RegistrationUnconfirmed,
            "Telegram does not have the webhook that it accepted last: somebody else holds the token too; it is set again once the sidecars are ready",
        ),
        Err(error) => {
            tracing::info!(bot = bot.token.bot_id(), %error, "could not look after the former webhook");
        }
    }
}

fn has_it(report: &mut Report) {
    report.fine(
        ConditionType::WebhookRegistered,
        Reason::WebhookSet,
        "Telegram has the webhook that this resource declares",
    );
}

/// The concern that a failure settles, if it settles one.
fn noted(error: Error, report: &mut Report) -> Error {
    let concern = match &error {
        Error::TokenRejected => ConditionType::TokenValid,
        Error::Refused { .. } | Error::Unconfirmed => ConditionType::WebhookRegistered,
        Error::OtherBot(_) | Error::Api(_) | Error::Ledger(_) => return error,
    };
    report.bad(concern, error.reason(), error.to_string());
    error
}

fn registration(
    webhook: &ValidatedWebhook,
    applied: &Applied,
    user: BotUser,
    outcome: Outcome,
) -> RegistrationStatus {
    let (host, slot) = (webhook.host.clone(), applied.wanted.slot);
    let since = webhook
        .registered
        .as_ref()
        .filter(|former| outcome == Outcome::Kept && former.slot == slot && former.host == host)
        .map(|former| former.registered_at.clone());
    RegistrationStatus {
        bot_id: user.id,
        bot_username: user.username,
        host,
        url_digest: Some(applied.wanted.parameters.url_digest()),
        slot,
        registered_at: since.unwrap_or_else(|| Time(whole_second(Timestamp::now()))),
    }
}

/// Kubernetes keeps whole seconds; a fraction would make what is read back differ from what was written.
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

// === impl Error ===

impl Error {
    /// Its stable name.
    pub fn reason(&self) -> Reason {
        match self {
            Self::TokenRejected => Reason::TokenRejected,
            Self::OtherBot(_) | Self::Refused { .. } => Reason::RegistrationRefused,
            Self::Unconfirmed => Reason::RegistrationUnconfirmed,
            Self::Api(ApiError::TooManyRequests(_)) => Reason::RateLimited,
            Self::Api(_) => Reason::BotApiUnavailable,
            Self::Ledger(_) => Reason::KubernetesApiFailed,
        }
    }

    /// What Telegram asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(ApiError::TooManyRequests(wait)) => Some(*wait),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
