//! Step 5, with the Bot API: makes Telegram's one webhook for this bot the one that was applied. It asks before it tells, tells
//! only what differs, and puts back what worked if a refusal erased it. Telegram's rules are in the comments below, because
//! each branch is there for one of them.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use telegram_webhook_crds::{ConditionType, RegistrationStatus};
use tokio::time::{Instant, sleep};

use super::{
    apply::{Applied, Ledger},
    delivery::Delivery,
    memory::{Memory, REFUSAL_HOLDS},
    status::{Reason, Report},
    stored::Accepted,
    validate::ValidatedWebhook,
};
use crate::{
    kubernetes,
    telegram::{
        ApiError, Bot, BotApi, BotUser, WebhookInfo,
        plan::{Plan, Why, plan, shows},
    },
};

/// Attempts to put back the webhook that worked.
const RESTORE_ATTEMPTS: u32 = 4;
/// Between two of them, if Telegram doesn't say.
const RESTORE_PAUSE: Duration = Duration::from_secs(1);
/// What a single wait within a pass may last; more is left to the next pass.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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
        "spec.bot.tokenSecretRef: the Bot API server rejects the token; get a new one from @BotFather and put it into the Secret"
    )]
    TokenRejected,
    /// The server says that the token is another bot's.
    #[error(
        "spec.bot.apiServer: the Bot API server answers for bot {0}, which is not the token's; check the server"
    )]
    OtherBot(i64),
    /// Telegram refuses the parameters.
    #[error("Telegram refuses the webhook: {description}; {}", if *.working { "the one that worked before is in place" } else { "none is in place" })]
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
    (identity, delivery): (Identity, Delivery),
    report: &mut Report,
) -> Result<Outcome, Error> {
    let user = match identity {
        Identity::Known(user) => user,
        Identity::Unknown(error) => return Err(Error::Api(error)),
    };
    if let Delivery::Missing(reason) = delivery {
        return Ok(Outcome::Waiting(reason));
    }
    let stored = webhook.stored.as_ref();
    let accepted = stored.and_then(|stored| stored.accepted.as_ref());
    let outcome = telegram
        .ensure(ledger, &webhook.bot, &applied.wanted, accepted)
        .await
        .map_err(|error| noted(error, report))?;
    report.fine(
        ConditionType::WebhookRegistered,
        Reason::WebhookSet,
        "Telegram has the webhook that this resource declares",
    );
    report.registration = Some(registration(webhook, applied, user, outcome));
    Ok(outcome)
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
        slot,
        registered_at: since.unwrap_or_else(|| Time(whole_second(Timestamp::now()))),
    }
}

/// Kubernetes keeps whole seconds; a fraction would make what is read back differ from what was written.
pub fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

// === impl Telegram ===

impl Telegram<'_> {
    /// Asks once per token whose it is. A rejected token isn't tried again.
    async fn identify(&self, bot: &Bot) -> Result<BotUser, Error> {
        let fingerprint = bot.fingerprint();
        let remembered = self.memory.of(self.uid);
        if remembered.rejected == Some(fingerprint) {
            return Err(Error::TokenRejected);
        }
        if let Some((accepted, user)) = remembered.accepted
            && accepted == fingerprint
        {
            return Ok(user);
        }
        let user = self
            .api
            .get_me(bot)
            .await
            .map_err(|error| self.failed(bot, error))?;
        if user.id != bot.token.bot_id() {
            return Err(Error::OtherBot(user.id));
        }
        self.memory.update(self.uid, |memory| {
            memory.accepted = Some((fingerprint, user.clone()));
        });
        Ok(user)
    }

    /// Makes Telegram have `wanted`.
    async fn ensure(
        &self,
        ledger: &dyn Ledger,
        bot: &Bot,
        wanted: &Accepted,
        accepted: Option<&Accepted>,
    ) -> Result<Outcome, Error> {
        // what another bot or server accepted says nothing about this one
        let accepted = accepted
            .filter(|accepted| accepted.bot_id == wanted.bot_id && accepted.api_server == wanted.api_server);
        let live = self.look(bot).await?;
        let why = match plan(
            &wanted.parameters,
            accepted.map(|accepted| &accepted.parameters),
            &live,
        ) {
            Plan::Keep => return Ok(Outcome::Kept),
            Plan::Set(why) => why,
        };
        if let Some(description) = self.refused_before(wanted) {
            let working = self.put_back_if_erased(bot, &live, accepted).await?;
            return Err(Error::Refused { description, working });
        }
        match self.api.set_webhook(bot, &wanted.parameters).await {
            Ok(()) => self.confirm(bot, wanted).await?,
            Err(error) => self.recover(bot, wanted, accepted, error).await?,
        }
        ledger.record(wanted).await.map_err(Error::Ledger)?;
        tracing::info!(bot = bot.token.bot_id(), slot = wanted.slot, ?why, "webhook set");
        Ok(Outcome::Set(why))
    }

    /// After a failed setWebhook. A refusal, and perhaps a lost answer, means that the webhook of before is erased.
    async fn recover(
        &self,
        bot: &Bot,
        wanted: &Accepted,
        accepted: Option<&Accepted>,
        error: ApiError,
    ) -> Result<(), Error> {
        match error {
            ApiError::BadRequest(description) => {
                self.remember_refusal(wanted, &description);
                let live = self.look(bot).await?;
                let working = self.put_back_if_erased(bot, &live, accepted).await?;
                Err(Error::Refused { description, working })
            }
            ApiError::Timeout | ApiError::Transport | ApiError::Server(_) | ApiError::Malformed => {
                let live = self.look(bot).await?;
                if live.url == wanted.parameters.url {
                    // perhaps it is done, but the secret can't be seen; doing it twice is harmless
                    self.api
                        .set_webhook(bot, &wanted.parameters)
                        .await
                        .map_err(|error| self.failed(bot, error))?;
                    return self.confirm(bot, wanted).await;
                }
                self.put_back_if_erased(bot, &live, accepted).await?;
                Err(Error::Api(error))
            }
            // checked by Telegram before anything is erased
            ApiError::TooManyRequests(_)
            | ApiError::Conflict
            | ApiError::Unauthorized
            | ApiError::NotFound => Err(self.failed(bot, error)),
        }
    }

    /// `ok` alone proves nothing: another holder of the token may have been faster.
    async fn confirm(&self, bot: &Bot, wanted: &Accepted) -> Result<(), Error> {
        if shows(&self.look(bot).await?, &wanted.parameters) {
            Ok(())
        } else {
            Err(Error::Unconfirmed)
        }
    }

    /// Whether the webhook that Telegram accepted last is in place, after putting it back if none is.
    async fn put_back_if_erased(
        &self,
        bot: &Bot,
        live: &WebhookInfo,
        accepted: Option<&Accepted>,
    ) -> Result<bool, Error> {
        let Some(accepted) = accepted else {
            return Ok(false);
        };
        if !live.url.is_empty() {
            return Ok(shows(live, &accepted.parameters));
        }
        for _ in 0..RESTORE_ATTEMPTS {
            let pause = match self.api.set_webhook(bot, &accepted.parameters).await {
                Ok(()) => {
                    tracing::warn!(
                        bot = bot.token.bot_id(),
                        slot = accepted.slot,
                        "former webhook put back"
                    );
                    return Ok(shows(&self.look(bot).await?, &accepted.parameters));
                }
                Err(error) if error.rejects_token() => return Err(self.failed(bot, error)),
                Err(ApiError::BadRequest(_)) => return Ok(false),
                Err(ApiError::TooManyRequests(wait)) if wait <= LONGEST_PAUSE => wait,
                Err(error @ ApiError::TooManyRequests(_)) => return Err(Error::Api(error)),
                Err(_) => RESTORE_PAUSE,
            };
            sleep(pause).await;
        }
        Ok(false)
    }

    async fn look(&self, bot: &Bot) -> Result<WebhookInfo, Error> {
        self.api
            .get_webhook_info(bot)
            .await
            .map_err(|error| self.failed(bot, error))
    }

    /// A token that the server rejects isn't used again until it changes.
    fn failed(&self, bot: &Bot, error: ApiError) -> Error {
        if !error.rejects_token() {
            return Error::Api(error);
        }
        self.memory.update(self.uid, |memory| {
            memory.rejected = Some(bot.fingerprint());
            memory.accepted = None;
        });
        Error::TokenRejected
    }

    fn remember_refusal(&self, wanted: &Accepted, description: &str) {
        let refusal = (
            wanted.parameters.fingerprint(),
            Instant::now(),
            description.to_owned(),
        );
        self.memory
            .update(self.uid, |memory| memory.refused = Some(refusal));
    }

    fn refused_before(&self, wanted: &Accepted) -> Option<String> {
        let (fingerprint, when, description) = self.memory.of(self.uid).refused?;
        let holds = fingerprint == wanted.parameters.fingerprint() && when.elapsed() < REFUSAL_HOLDS;
        holds.then_some(description)
    }
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
