//! The `TelegramWebhook` API: its types, its names, and its definition as YAML. No client, no decisions.
//!
//! `telegramwebhooks.yaml` beside this package is generated from these types (`cargo xtask generate`, or `crdgen` to look at)
//! and committed; a test fails when the two drift apart.
#![deny(missing_docs)]

mod generate;
mod status;
mod telegram_webhook;

pub use generate::crd_yaml;
pub use status::{
    ConditionType, PodsStatus, RegistrationStatus, TelegramWebhookStatus, UNOBSERVED_GENERATION,
};
pub use telegram_webhook::{
    AddressRanges, BackendSpec, BanSpec, BotSpec, BrokerTlsSpec, ClientAddressSpec, DEFAULT_API_SERVER,
    DeadLetterSpec, DeletionPolicy, DeliverySecretRef, DeliverySpec, EmbeddedSpec, EndpointSpec,
    FallbackSpec, FilterSpec, HmacScheme, HmacSecretRef, HmacSpec, IdListSpec, LimitsSpec, Network, Period,
    RabbitMqSpec, RateSpec, RedisSpec, SecretKeyRef, SecretRef, SentinelSpec, Size, SourceAddressSpec,
    TelegramWebhook, TelegramWebhookSpec, TlsSpec, TopologySpec, UpdateType, UpstreamSpec, VerificationSpec,
    VolumeSpec, WorkloadSelector, WorkloadSpec,
};
pub use telegram_webhook_sidecar_config::{ADMIN_PORT, WEBHOOK_PORT};

/// API group of the resource, and prefix of every label and annotation we own.
pub const GROUP: &str = "telegram-webhook.dev";
/// Pods that carry this label with the value `true` get the sidecar. A label, so that the API server can pre-filter.
pub const INJECT_LABEL: &str = "telegram-webhook.dev/inject";
/// Secrets referenced by `spec.bot.tokenSecretRef` must carry this label with the value `true`, so that an editor of
/// `TelegramWebhook` can't make the operator send some other Secret to an API server.
pub const BOT_TOKEN_LABEL: &str = "telegram-webhook.dev/bot-token";
/// Secrets referenced by `spec.verification.hmac.secretRef` must carry this label with the value `true`, so that an editor of
/// `TelegramWebhook` can't make the operator copy some other Secret to the sidecars.
pub const HMAC_SECRET_LABEL: &str = "telegram-webhook.dev/hmac-secret";
/// Secrets referenced by `spec.delivery` must carry this label with the value `true`, so that an editor of `TelegramWebhook` can't make
/// the operator copy some other Secret to the sidecars.
pub const DELIVERY_SECRET_LABEL: &str = "telegram-webhook.dev/delivery-secret";
/// On every child: the name of the `TelegramWebhook` it belongs to.
pub const WEBHOOK_LABEL: &str = "telegram-webhook.dev/webhook";
/// On the pods of a fallback: the name of the `TelegramWebhook` it belongs to.
pub const FALLBACK_LABEL: &str = "telegram-webhook.dev/fallback";
/// Readiness gate of the pods of a fallback: true while no pod of the CRM is ready. A pod that has it only stores updates, and isn't one
/// of the CRM's. It can't be added to a pod, nor taken from it.
pub const FALLBACK_GATE: &str = "telegram-webhook.dev/no-crm-pod-ready";
/// Holds a deleted resource until the webhook at Telegram has been dealt with as `deletionPolicy` says.
pub const FINALIZER: &str = "telegram-webhook.dev/registration";
/// Field manager of children.
pub const FIELD_MANAGER: &str = "telegram-webhook-operator";
/// Field manager of `status`.
pub const STATUS_FIELD_MANAGER: &str = "telegram-webhook-operator-status";
/// Name of the injected container.
pub const SIDECAR_CONTAINER: &str = "telegram-webhook-sidecar";
/// Name of the volume of an injected pod that holds the configurations and certificates of the resources that selected it
/// when it was created.
pub const SIDECAR_CONFIG_VOLUME: &str = "telegram-webhook-sidecar-config";
/// Name of the sidecar's port for Telegram. The Service targets it by name: only injected pods have it.
pub const WEBHOOK_PORT_NAME: &str = "tg-webhook";
/// Name of the sidecar's port for probes, metrics and the operator.
pub const ADMIN_PORT_NAME: &str = "tg-admin";

/// Name of the children (Secret and Service) of the `TelegramWebhook` called `webhook`.
pub fn child_name(webhook: &str) -> String {
    format!("{webhook}-telegram-webhook")
}

/// Name of the Deployment of the fallback of the `TelegramWebhook` called `webhook`.
pub fn fallback_name(webhook: &str) -> String {
    format!("{}-fallback", child_name(webhook))
}

/// Name of the Secret with the key that deliveries are signed with, of the `TelegramWebhook` called `webhook`, if the operator makes it.
pub fn signing_secret_name(webhook: &str) -> String {
    format!("{}-signing", child_name(webhook))
}

/// Key of the signing key in that Secret.
pub const SIGNING_KEY: &str = "key";
