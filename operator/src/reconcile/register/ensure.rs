//! Asks Telegram before it tells, tells only what differs, and puts back what worked if a refusal erased it. Each branch is
//! there for one of Telegram's rules: a refused setWebhook has erased the former webhook, a lost answer says nothing, `ok` doesn't
//! mean that it is still so.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{Error, Outcome, Telegram, whole_second};
use crate::{
    reconcile::{
        apply::Ledger,
        memory::AcceptedToken,
        status::Reason,
        stored::{Accepted, Refused},
    },
    telegram::{
        ApiError, Bot, BotUser, WebhookInfo,
        plan::{Plan, Why, plan, shows},
    },
};

/// Attempts to put back the webhook that worked.
const RESTORE_ATTEMPTS: u32 = 4;
/// Between two of them, if Telegram doesn't say.
const RESTORE_PAUSE: Duration = Duration::from_secs(1);
/// What a single wait within a pass may last; more is left to the next pass.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A set of parameters that Telegram refused isn't sent again sooner: each refusal erases the webhook for a moment, and
/// Telegram itself remembers a failed look-up of a host for five minutes.
pub const REFUSAL_HOLDS: Duration = Duration::from_mins(5);
/// While a former webhook works, the pause doubles with each refusal up to this.
pub const LONGEST_REFUSAL: Duration = Duration::from_hours(24);

/// A rejected token isn't asked about again sooner, unless it changes: a self-hosted server may have been wrong for a while.
const REJECTION_HOLDS: Duration = Duration::from_mins(10);

/// What decides, apart from what is wanted.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// What Telegram accepted last.
    pub accepted: Option<&'a Accepted>,
    /// What it refused since then.
    pub refused: Option<&'a Refused>,
    /// Whether the sidecars serve the certificate that was validated.
    pub serves_certificate: bool,
}

// === impl Telegram ===

impl Telegram<'_> {
    /// Asks once per token whose it is. A rejected token isn't tried again soon.
    pub(super) async fn identify(&self, bot: &Bot) -> Result<BotUser, Error> {
        let fingerprint = bot.fingerprint();
        let remembered = self.memory.of(self.uid);
        if let Some((rejected, at)) = remembered.rejected
            && rejected == fingerprint
            && at.elapsed() < REJECTION_HOLDS
        {
            return Err(Error::TokenRejected);
        }
        if let Some(accepted) = remembered.accepted
            && accepted.fingerprint == fingerprint
        {
            return Ok(accepted.user);
        }
        let user = self.api.get_me(bot).await.map_err(|error| self.failed(bot, error))?;
        if user.id != bot.token.bot_id() {
            return Err(Error::OtherBot(user.id));
        }
        let accepted = AcceptedToken { fingerprint, server: bot.server.clone(), user: user.clone() };
        self.memory.update(self.uid, |memory| memory.accepted = Some(accepted));
        Ok(user)
    }

    /// Makes Telegram have `wanted`.
    pub(super) async fn ensure(
        &self,
        ledger: &dyn Ledger,
        bot: &Bot,
        wanted: &Accepted,
        Situation { accepted, refused, serves_certificate }: Situation<'_>,
    ) -> Result<Outcome, Error> {
        // what another bot or server accepted says nothing about this one
        let accepted = accepted
            .filter(|accepted| accepted.bot_id == wanted.bot_id && accepted.api_server == wanted.api_server);
        let live = self.look(bot).await?;
        let why = match plan(&wanted.parameters, accepted.map(|accepted| &accepted.parameters), &live) {
            Plan::Keep => return Ok(Outcome::Kept),
            Plan::Set(why) => why,
        };
        if !serves_certificate && matches!(why, Why::New | Why::Changed) {
            // the former one is worth having until then; setting again what was accepted brings no new certificate into play
            self.put_back_if_erased(bot, &live, accepted).await?;
            return Ok(Outcome::Waiting(Reason::CertificateNotLoaded));
        }
        let now = Timestamp::now();
        if let Some(refused) = refused.filter(|refused| refused.holds(wanted, accepted.is_some(), now)) {
            return Err(Error::Refused {
                description: refused.description.clone(),
                working: self.put_back_if_erased(bot, &live, accepted).await?,
            });
        }
        match self.api.set_webhook(bot, &wanted.parameters).await {
            Ok(()) => self.confirm(bot, wanted).await?,
            Err(error) => self.recover(ledger, bot, wanted, (accepted, refused), error).await?,
        }
        ledger.record(wanted).await.map_err(Error::Ledger)?;
        tracing::info!(bot = bot.token.bot_id(), slot = wanted.slot, ?why, "webhook set");
        Ok(Outcome::Set(why))
    }

    /// Whether the webhook that Telegram accepted last is in place, after putting it back if none is.
    pub(super) async fn put_back(&self, bot: &Bot, accepted: &Accepted) -> Result<bool, Error> {
        let live = self.look(bot).await?;
        self.put_back_if_erased(bot, &live, Some(accepted)).await
    }

    /// After a failed setWebhook. A refusal, and perhaps a lost answer, means that the webhook of before is erased.
    async fn recover(
        &self,
        ledger: &dyn Ledger,
        bot: &Bot,
        wanted: &Accepted,
        (accepted, refused): (Option<&Accepted>, Option<&Refused>),
        error: ApiError,
    ) -> Result<(), Error> {
        match error {
            ApiError::BadRequest(description) => {
                let put_back = async {
                    let live = self.look(bot).await?;
                    self.put_back_if_erased(bot, &live, accepted).await
                };
                let working = put_back.await;
                let refused = Refused::now(wanted, refused, description.clone());
                ledger.refuse(&refused).await.map_err(Error::Ledger)?;
                Err(Error::Refused { description, working: working? })
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
        if shows(&self.look(bot).await?, &wanted.parameters) { Ok(()) } else { Err(Error::Unconfirmed) }
    }

    /// The same for one who has looked already, and may have nothing to put back.
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
                    tracing::warn!(bot = bot.token.bot_id(), slot = accepted.slot, "former webhook put back");
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
        self.api.get_webhook_info(bot).await.map_err(|error| self.failed(bot, error))
    }

    /// A token that the server rejects isn't used again soon.
    fn failed(&self, bot: &Bot, error: ApiError) -> Error {
        if !error.rejects_token() {
            return Error::Api(error);
        }
        self.memory.update(self.uid, |memory| {
            memory.rejected = Some((bot.fingerprint(), Instant::now()));
            memory.accepted = None;
        });
        Error::TokenRejected
    }
}

// === impl Refused ===

impl Refused {
    fn now(wanted: &Accepted, before: Option<&Self>, description: String) -> Self {
        let times = before.filter(|before| before.is_of(wanted)).map_or(0, |before| before.times);
        let fingerprint = wanted.parameters.fingerprint();
        Self { fingerprint, description, at: whole_second(Timestamp::now()), times: times.saturating_add(1) }
    }

    /// Whether it is too early to try these parameters again. Nobody waits a day for a first webhook, which has nothing to lose.
    pub(super) fn holds(&self, wanted: &Accepted, former_works: bool, now: Timestamp) -> bool {
        let doublings = if former_works { self.times.saturating_sub(1) } else { 0 };
        let pause = REFUSAL_HOLDS.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_REFUSAL);
        now.duration_since(self.at).unsigned_abs() < pause && self.is_of(wanted)
    }
}
