//! Checks `spec.fallback`.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use telegram_webhook_crds::{BackendSpec, FallbackSpec, TelegramWebhook};

use super::{Settings, mistake::Mistakes};
use crate::reconcile::{dereference::Found, status::Reason};

/// What `spec.fallback` comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// How many pods.
    pub replicas: i32,
    /// The sidecar's image.
    pub image: String,
    /// Names of the Secrets that it is pulled with.
    pub image_pull_secrets: Vec<String>,
    /// Names of the Secrets with certificates that its pods mount, by resource. They are mounted when a pod is created, so that
    /// another one takes new pods.
    pub certificates: BTreeMap<String, String>,
}

/// Checks it. `None` without one, or together with a mistake.
pub fn fallback(
    webhook: &TelegramWebhook,
    found: &Found,
    settings: &Settings,
    mistakes: &mut Mistakes,
) -> Option<Fallback> {
    let FallbackSpec { replicas, image_pull_secrets } = webhook.spec.fallback.as_ref()?;
    let backend = webhook.spec.delivery.backend.as_ref();
    let is_shared =
        backend.is_some_and(|BackendSpec { embedded, redis: _, rabbit_mq: _ }| embedded.is_none());
    if !is_shared {
        mistakes.push(
            Reason::FallbackInvalid,
            "spec.fallback: its pods only store, and the CRM's deliver what they stored; use spec.delivery.backend.redis or rabbitMq, which they share, or remove fallback",
        );
        return None;
    }
    let mut certificates = found.neighbours.clone();
    certificates.insert(webhook.name_any(), webhook.spec.endpoint.tls.secret_ref.name.clone());
    Some(Fallback {
        replicas: *replicas,
        image: settings.sidecar_image.clone(),
        image_pull_secrets: image_pull_secrets.iter().map(|secret| secret.name.clone()).collect(),
        certificates,
    })
}
