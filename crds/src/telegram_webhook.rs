//! The `TelegramWebhook` spec as a user writes it, with the rules that the API server can check by itself.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::TelegramWebhookStatus;

mod broker;
mod delivery;
mod endpoint;
mod fallback;
mod filter;
mod limits;
mod text;
mod verification;
mod workload;

pub use self::{
    broker::{BrokerTlsSpec, RabbitMqSpec, RedisSpec, SentinelSpec, TopologySpec},
    delivery::{BackendSpec, DeadLetterSpec, DeliverySecretRef, DeliverySpec, EmbeddedSpec, VolumeSpec},
    endpoint::{ClientAddressSpec, EndpointSpec, TlsSpec},
    fallback::FallbackSpec,
    filter::{FilterSpec, IdListSpec, UpdateType},
    limits::{BanSpec, LimitsSpec, RateSpec},
    text::{Network, Period, Size},
    verification::{AddressRanges, HmacScheme, HmacSecretRef, HmacSpec, SourceAddressSpec, VerificationSpec},
    workload::{UpstreamSpec, WorkloadSelector, WorkloadSpec},
};

/// Telegram's own Bot API server, the default of `spec.bot.apiServer`.
pub const DEFAULT_API_SERVER: &str = "https://api.telegram.org";

/// What is declared of one bot's webhook. The README of telegram-webhook-operator begins with an example, and says what each step of
/// setting up needs.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "telegram-webhook.dev",
    version = "v1alpha1",
    kind = "TelegramWebhook",
    plural = "telegramwebhooks",
    shortname = "tgwh",
    category = "telegram",
    namespaced,
    status = "TelegramWebhookStatus",
    derive = "PartialEq",
    doc = "One bot's webhook: where Telegram sends its updates, and which pods receive them.",
    validation = ("self.metadata.name.matches('^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$')", "metadata.name: use at most 40 characters a-z, 0-9 and '-', a letter first: the Service and the Secret are named after it"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Bot", type_ = "string", json_path = ".status.registration.botUsername"),
    printcolumn(name = "Host", type_ = "string", json_path = ".spec.endpoint.host"),
    printcolumn(name = "Loaded", type_ = "integer", json_path = ".status.pods.acknowledged"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.bot.apiServer == 'https://api.telegram.org' || self.verification.sourceAddress.mode == 'Off' || self.verification.sourceAddress.ranges == 'Custom'", "spec.verification.sourceAddress: a self-hosted Bot API server doesn't send from Telegram's addresses: use ranges Custom, or mode Off"))]
#[x_kube(validation = ("!has(self.fallback) || (has(self.delivery.backend) && !has(self.delivery.backend.embedded))", "spec.fallback: its pods only store, and the CRM's deliver what they stored: use spec.delivery.backend.redis or rabbitMq, which they share, or remove fallback"))]
pub struct TelegramWebhookSpec {
    /// Stops reconciling: nothing is created, changed or registered until it is false again. What works goes on working.
    #[serde(default)]
    pub suspend: bool,
    /// The bot, and the server it is registered at.
    pub bot: BotSpec,
    /// The pods that receive this bot's updates.
    pub workload: WorkloadSpec,
    /// The public address that Telegram sends updates to.
    pub endpoint: EndpointSpec,
    /// What shows that a request is Telegram's, beside its secret token.
    #[serde(default)]
    pub verification: VerificationSpec,
    /// Which updates the CRM gets.
    #[serde(default)]
    pub filter: FilterSpec,
    /// Bounds on requests.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// How updates reach the CRM, and where they wait for it.
    #[serde(default)]
    pub delivery: DeliverySpec,
    /// Pods of the sidecar alone that take updates in while no pod of the CRM is ready, and none otherwise: what they store is delivered
    /// by the CRM's pods once they are back. For a CRM that is away for longer than Telegram waits (a day), or whose Telegram chats
    /// must not notice. They need `spec.delivery.backend` redis or rabbitMq, which all pods share.
    ///
    /// They carry the labels of `spec.workload.selector`, so that every Service leads to them that leads to the CRM's sidecars. Let these
    /// be labels that nothing else selects by: a Service to another port of the CRM, its PodDisruptionBudget or its
    /// HorizontalPodAutoscaler would take them for pods of the CRM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackSpec>,
    /// What happens to the webhook at Telegram when this resource is deleted. `Retain` leaves it registered, so that an
    /// accident can't silence a bot; `Delete` removes it, if it is still ours. The Service and the Secret of this resource are deleted
    /// with it all the same: with `Retain` updates reach only what still runs and is reachable, which are pods that no other resource
    /// selects, until they end, over a Service of your own. Everything else they find closed, and Telegram keeps them for a day. A
    /// resource that is made anew registers a new path.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// The bot, and the server it is registered at.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BotSpec {
    /// The key of a Secret in this namespace that holds the bot's token as @BotFather gave it. The Secret must carry the
    /// label `telegram-webhook.dev/bot-token: "true"`.
    pub token_secret_ref: SecretKeyRef,
    /// Base URL of the Bot API server: scheme, host and port, no path. Anything but Telegram's own must be allowed by the
    /// chart's value `operator.localApiServers`.
    #[serde(default = "default_api_server")]
    #[schemars(length(max = 256), regex(pattern = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$"))]
    pub api_server: String,
}

/// One key of a Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret's data.
    #[serde(default = "default_token_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What happens to the webhook at Telegram when the resource is deleted.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It stays registered.
    #[default]
    Retain,
    /// It is removed, if it is still ours.
    Delete,
}

fn default_api_server() -> String {
    DEFAULT_API_SERVER.to_owned()
}

fn default_token_key() -> String {
    "token".to_owned()
}
