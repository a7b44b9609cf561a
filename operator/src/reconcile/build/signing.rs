//! The keys that deliveries to the CRM are signed with: the present one, and for a while the one before it.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use telegram_webhook_crds::{SIGNING_KEY, signing_secret_name};
use telegram_webhook_sidecar_config::Secret as SecretText;

use super::metadata;
use crate::reconcile::{
    stored::{FormerKey, Material},
    validate::ValidatedWebhook,
};

/// For so long each delivery carries the signatures of both keys. A CRM may have to be restarted to learn the new one.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// The keys.
pub struct Signing {
    current: SecretText,
    /// Whether the operator had to make it.
    is_new: bool,
    /// The one before it, as long as that is used.
    pub former: Option<FormerKey>,
}

// === impl Signing ===

impl Signing {
    /// The declared key, or the one that was made, or a new one. The sidecar's configuration shows which was used last.
    pub fn new(webhook: &ValidatedWebhook, material: &Material, now: Timestamp) -> Self {
        let known = webhook.delivery.signing_key.clone();
        let is_new = known.is_none();
        let current = known.unwrap_or_else(|| material.signing_key());
        let stored = webhook.stored.as_ref();
        let former = match stored.and_then(|stored| stored.config.delivery.signing_keys.first()) {
            // to the second, as it is written
            Some(used) if *used != current => {
                let until = now.as_second() + OVERLAP.as_secs().cast_signed();
                Timestamp::from_second(until).ok().map(|until| FormerKey { key: used.clone(), until })
            }
            _ => stored
                .and_then(|stored| stored.former_key.clone())
                .filter(|former| former.until > now && former.key != current),
        };
        Self { current, is_new, former }
    }

    /// For the sidecar, the present one first.
    pub fn keys(&self) -> Vec<SecretText> {
        let former = self.former.iter().map(|former| former.key.clone());
        std::iter::once(self.current.clone()).chain(former).collect()
    }

    /// The Secret for a key that was made. The CRM mounts it.
    pub fn secret(&self, webhook: &ValidatedWebhook) -> Option<Secret> {
        let key = ByteString(self.current.0.clone().into_bytes());
        self.is_new.then(|| Secret {
            metadata: metadata(webhook, signing_secret_name(&webhook.name)),
            type_: Some("Opaque".to_owned()),
            data: Some(BTreeMap::from([(SIGNING_KEY.to_owned(), key)])),
            ..Secret::default()
        })
    }
}
