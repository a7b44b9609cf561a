//! Checks the bot's token, and that no older resource has the bot.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use telegram_webhook_crds::{BOT_TOKEN_LABEL, ConditionType, TelegramWebhook};

use super::Mistake;
use crate::{
    reconcile::{
        dereference::{Elder, Found},
        status::Reason,
    },
    telegram::BotToken,
};

/// The token of `spec.bot.tokenSecretRef`. The cleanup asks for it too.
pub fn token(webhook: &TelegramWebhook, secret: Option<&Secret>) -> Result<BotToken, Mistake> {
    let reference = &webhook.spec.bot.token_secret_ref;
    let (name, key) = (&reference.name, &reference.key);
    let secret = secret.ok_or_else(|| {
        Mistake::passing(
            Reason::TokenSecretNotFound,
            format!(
                "spec.bot.tokenSecretRef.name: there is no Secret {name} in this namespace; create it with the bot's token under the key {key}"
            ),
        )
        .about(ConditionType::TokenValid)
    })?;
    let lasting =
        |reason, message: String| Mistake::lasting(reason, message).about(ConditionType::TokenValid);
    if secret.labels().get(BOT_TOKEN_LABEL).map(String::as_str) != Some("true") {
        return Err(lasting(
            Reason::TokenSecretNotLabelled,
            format!(
                "spec.bot.tokenSecretRef.name: Secret {name} lacks the label {BOT_TOKEN_LABEL}=true, which allows the operator to use it; add the label"
            ),
        ));
    }
    let value = secret.data.as_ref().and_then(|data| data.get(key)).ok_or_else(|| {
        lasting(
            Reason::TokenKeyNotFound,
            format!(
                "spec.bot.tokenSecretRef.key: Secret {name} has no key {key}; add it, or name the right key"
            ),
        )
    })?;
    let malformed = || {
        lasting(
            Reason::TokenMalformed,
            format!(
                "spec.bot.tokenSecretRef: key {key} of Secret {name} is not a bot token (digits, a colon, 35 or more letters, digits, - or _); copy the token from @BotFather"
            ),
        )
    };
    // the newline that `echo` and editors leave at the end is nobody's intention
    let text = str::from_utf8(&value.0).map_err(|_| malformed())?.trim_end();
    BotToken::parse(text).map_err(|_| malformed())
}

/// A bot's id is no secret, so an older resource has the bot only if it has shown the token: the server accepted it from there,
/// or it is the very same.
pub fn sole_owner(webhook: &TelegramWebhook, found: &Found, own: &BotToken) -> Result<(), Mistake> {
    let has_bot = |elder: &&Elder| match elder.bot_id {
        Some(bot_id) => bot_id == own.bot_id(),
        None => token(&elder.webhook, elder.token.as_ref()).is_ok_and(|token| token.expose() == own.expose()),
    };
    let Some(Elder { webhook: elder, .. }) = found.elders.iter().find(has_bot) else {
        return Ok(());
    };
    // who may read this resource need not know what there is elsewhere
    let place = if elder.namespace() == webhook.namespace() {
        format!("TelegramWebhook {}", elder.name_any())
    } else {
        "a TelegramWebhook of another namespace".to_owned()
    };
    Err(Mistake::lasting(
        Reason::DuplicateBot,
        format!(
            "spec.bot: bot {} already belongs to {place}, which is older, and a bot has one webhook; delete one of the two, or use another bot's token",
            own.bot_id(),
        ),
    )
    .about(ConditionType::WebhookRegistered))
}
