//! When a resource is deleted: deals with its webhook at Telegram as `deletionPolicy` says. It needs no valid spec, removes
//! only what is provably ours, and holds the deletion up for no longer than the deadline.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};
use telegram_webhook_crds::{DeletionPolicy, TelegramWebhook, child_name};
use url::Url;

use super::{Context, stored::Stored, validate::token};
use crate::{
    events::Notice,
    kubernetes::{self, within},
    telegram::{ApiError, Bot, BotApi, url_digest},
};

/// One attempt; the next one follows until the deadline.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const ACTION: &str = "Delete";

/// What became of the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// It stays, as asked.
    Retained,
    /// It is removed, as asked.
    Deleted,
    /// None was set.
    NothingSet,
    /// It stays because it isn't ours.
    NotOurs,
    /// It may be there still: it couldn't be removed, and why.
    Left(&'static str),
}

/// Worth another attempt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secrets couldn't be read.
    #[error("failed to read what the webhook is known by: {0}")]
    Read(kubernetes::Error),
    /// Telegram didn't do it.
    #[error("failed to remove the webhook: {0}")]
    Telegram(ApiError),
}

/// What a webhook is known by as ours. With a foreground deletion, or that of the namespace, the child Secret goes before the
/// resource, and only what the status says is left.
struct Proof {
    stored: Option<Stored>,
    url_digest: Option<String>,
}

/// Deals with the webhook, and says what became of it.
pub async fn cleanup(context: &Context, webhook: &TelegramWebhook) -> Result<Farewell, Error> {
    let attempt = tokio::time::timeout(ATTEMPT_TIMEOUT, attempt(context, webhook));
    let result = attempt.await.unwrap_or(Err(Error::Telegram(ApiError::Timeout)));
    let farewell = match result {
        Err(error) if overdue(webhook, context.cleanup_deadline, Timestamp::now()) => {
            tracing::warn!(%error, "letting go of a deleted resource");
            Farewell::Left("its Bot API server or the Kubernetes API could not be reached in time")
        }
        result => result?,
    };
    context.events.publish(webhook, farewell.notice()).await;
    Ok(farewell)
}

async fn attempt(context: &Context, webhook: &TelegramWebhook) -> Result<Farewell, Error> {
    if webhook.spec.deletion_policy == DeletionPolicy::Retain {
        return Ok(Farewell::Retained);
    }
    let namespace = webhook.namespace().unwrap_or_default();
    let secrets = Api::<Secret>::namespaced(context.client.clone(), &namespace);
    let child = within(secrets.get_opt(&child_name(&webhook.name_any()))).await.map_err(Error::Read)?;
    let token_secret =
        within(secrets.get_opt(&webhook.spec.bot.token_secret_ref.name)).await.map_err(Error::Read)?;
    let Some(proof) = Proof::of(webhook, child.as_ref()) else {
        return Ok(Farewell::Left("neither the status nor the operator's Secret says which one is ours"));
    };
    let Ok(token) = token(webhook, token_secret.as_ref()) else {
        return Ok(Farewell::Left("the bot's token is gone or unusable"));
    };
    let server = &webhook.spec.bot.api_server;
    if !context.settings.allows(server) {
        return Ok(Farewell::Left("its Bot API server is not allowed"));
    }
    let bot = Bot { server: server.clone(), token };
    remove(context.bots.as_ref(), &bot, &proof).await
}

/// Removes the webhook if it is one of ours. Between the look and the removal another holder of the token may set another
/// one: Telegram offers nothing to prevent that.
async fn remove(api: &dyn BotApi, bot: &Bot, proof: &Proof) -> Result<Farewell, Error> {
    let result = async {
        let live = api.get_webhook_info(bot).await?;
        if live.url.is_empty() {
            return Ok(Farewell::NothingSet);
        }
        if !proof.covers(&live.url) {
            return Ok(Farewell::NotOurs);
        }
        api.delete_webhook(bot).await?;
        Ok(Farewell::Deleted)
    };
    match result.await {
        Err(error @ (ApiError::Unauthorized | ApiError::NotFound)) => {
            tracing::info!(%error, "the webhook went with its token");
            Ok(Farewell::Left("the Bot API server rejects the token"))
        }
        result => result.map_err(Error::Telegram),
    }
}

/// Whether a deleted resource has waited long enough.
fn overdue(webhook: &TelegramWebhook, deadline: Duration, now: Timestamp) -> bool {
    webhook
        .metadata
        .deletion_timestamp
        .as_ref()
        .is_none_or(|deleted| now.duration_since(deleted.0).unsigned_abs() >= deadline)
}

// === impl Proof ===

impl Proof {
    /// What there is; `None` if there is nothing.
    fn of(webhook: &TelegramWebhook, child: Option<&Secret>) -> Option<Self> {
        let stored = child.and_then(|secret| Stored::read(secret).ok());
        let registration = webhook.status.as_ref().and_then(|status| status.registration.as_ref());
        let url_digest = registration.and_then(|registration| registration.url_digest.clone());
        (stored.is_some() || url_digest.is_some()).then_some(Self { stored, url_digest })
    }

    /// Whether the webhook with this URL is ours: Telegram accepted it from us, or host and path are those of a slot. The path is
    /// random: nobody else has it.
    fn covers(&self, live: &str) -> bool {
        let noted = self.url_digest.as_ref().is_some_and(|ours| *ours == url_digest(live));
        noted
            || self.stored.as_ref().is_some_and(|stored| {
                let accepted =
                    stored.accepted.as_ref().is_some_and(|accepted| accepted.parameters.url == live);
                let slot = Url::parse(live).is_ok_and(|url| {
                    url.host_str() == Some(stored.config.host.as_str())
                        && stored.config.slots.iter().any(|slot| slot.path == url.path())
                });
                accepted || slot
            })
    }
}

// === impl Farewell ===

impl Farewell {
    fn notice(self) -> Notice {
        match self {
            Self::Retained => Notice::normal(
                "WebhookRetained",
                ACTION,
                "the webhook stays registered at Telegram, as spec.deletionPolicy says",
            ),
            Self::Deleted => Notice::normal(
                "WebhookDeleted",
                ACTION,
                "the webhook was removed from Telegram, as spec.deletionPolicy says",
            ),
            Self::NothingSet => Notice::normal("WebhookAbsent", ACTION, "no webhook was set at Telegram"),
            Self::NotOurs => Notice::warning(
                "WebhookNotOurs",
                ACTION,
                "the webhook at Telegram is not this resource's and was left alone",
            ),
            Self::Left(why) => Notice::warning(
                "WebhookLeft",
                ACTION,
                format!(
                    "the webhook may still be set at Telegram: {why}; remove it with deleteWebhook if it must go"
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
