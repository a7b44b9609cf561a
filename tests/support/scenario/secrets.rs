//! The scenario's secrets: what a user would put into Secrets, and what the operator makes.

use std::collections::BTreeMap;

use anyhow::Context as _;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    ResourceExt as _,
    api::{ListParams, ObjectMeta, Patch, PatchParams},
};
use telegram_webhook_crds::{BOT_TOKEN_LABEL, TelegramWebhook, child_name};
use telegram_webhook_sidecar_config::{
    Backend, CONFIG_FILE, Secret as SecretText, Slot, WebhookConfig, bounds::KEY_PREFIX,
};

use super::Scenario;
use crate::{leaks, manifest, pki::Leaf};

impl Scenario {
    /// Writes a Secret with a bot's token, labelled as the operator asks for.
    pub async fn put_token(&self, name: &str, token: &str) -> anyhow::Result<()> {
        self.put_secret(name, "Opaque", &[("token", token)], Some(BOT_TOKEN_LABEL)).await
    }

    /// Writes a `kubernetes.io/tls` Secret.
    pub async fn put_certificate(&self, name: &str, leaf: &Leaf) -> anyhow::Result<()> {
        self.put_secret(name, "kubernetes.io/tls", &[("tls.crt", &leaf.chain), ("tls.key", &leaf.key)], None)
            .await
    }

    /// Writes a Secret with that label, if any.
    pub async fn put_secret(
        &self,
        name: &str,
        type_: &str,
        data: &[(&str, &str)],
        label: Option<&str>,
    ) -> anyhow::Result<()> {
        let labels = label.map(|label| BTreeMap::from([(label.to_owned(), "true".to_owned())]));
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() },
            type_: Some(type_.to_owned()),
            data: Some(
                data.iter()
                    .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        };
        let params = PatchParams::apply(manifest::FIELD_MANAGER).force();
        self.api::<Secret>().patch(name, &params, &Patch::Apply(&secret)).await?;
        Ok(())
    }

    /// The pair of path and token that Telegram is told.
    pub async fn slot(&self, webhook: &str) -> anyhow::Result<Slot> {
        let config = self.config(webhook).await?;
        config.slots.into_iter().next().context("the configuration has no slot")
    }

    /// What the sidecars are told.
    async fn config(&self, webhook: &str) -> anyhow::Result<WebhookConfig> {
        let secret = self.api::<Secret>().get(&child_name(webhook)).await?;
        let config = secret
            .data
            .and_then(|mut data| data.remove(CONFIG_FILE))
            .context("the child Secret has no configuration")?;
        Ok(WebhookConfig::parse(&config.0)?)
    }

    /// Lets [`leaks`] search for the scenario's secrets from now on: the token, and path, token, signing keys and
    /// broker's password of every child Secret.
    pub async fn remember_secrets(&self) -> anyhow::Result<()> {
        let token = self.token.split_once(':').map_or(self.token.as_str(), |(_, secret)| secret);
        leaks::remember("a bot's token", token);
        for webhook in self.api::<TelegramWebhook>().list(&ListParams::default()).await? {
            // one that was refused has none
            let Ok(config) = self.config(&webhook.name_any()).await else {
                continue;
            };
            for slot in &config.slots {
                leaks::remember("a secret token", &slot.secret_token);
                leaks::remember("a path", slot.path.rsplit('/').next().unwrap_or_default());
            }
            let password = match &config.delivery.backend {
                Backend::Redis(redis) => redis.password.as_ref(),
                Backend::RabbitMq(rabbit_mq) => Some(&rabbit_mq.password),
                Backend::Embedded { .. } => None,
            };
            if let Some(SecretText(password)) = password {
                leaks::remember("a broker's password", password);
            }
            for SecretText(key) in &config.delivery.signing_keys {
                leaks::remember("a signing key", key.trim_start_matches(KEY_PREFIX));
            }
        }
        Ok(())
    }
}

/// A bot's id: the digits in front of its token's colon.
pub fn bot_id(token: &str) -> i64 {
    token.split_once(':').and_then(|(id, _)| id.parse().ok()).unwrap_or_default()
}

/// A token of the form that @BotFather gives: the bot's id, a colon, 35 characters.
pub fn new_token() -> anyhow::Result<String> {
    let mut random = [0_u8; 22];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let (id, rest) = random.split_at(4);
    let id = u32::from_be_bytes([id[0], id[1], id[2], id[3]]) % 1_000_000_000 + 1_000_000_000;
    let rest: String = hex::encode(rest).chars().take(35).collect();
    Ok(format!("{id}:{rest}"))
}
