//! The status of a `TelegramWebhook`: what the operator saw and did. It holds no secret, no token and no full path, and
//! nothing that moves when nothing happens (such numbers are metrics).

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `observedGeneration` of a resource that no operator has seen: the schema's default, so that kstatus (Flux, Helm, Argo CD)
/// doesn't take a resource without a status for a ready one.
pub const UNOBSERVED_GENERATION: i64 = -1;

/// What the operator saw and did.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct TelegramWebhookStatus {
    /// The `metadata.generation` that the conditions speak of; -1 before the operator has seen the resource.
    pub observed_generation: i64,
    /// `Ready` sums up; the others name one concern each: `TokenValid` (the Bot API server accepts the token), `SecretsDelivered` (every
    /// sidecar has loaded the current configuration), `SidecarsReady` (a selected pod is ready, and none runs without a sidecar),
    /// `WebhookRegistered` (the webhook at Telegram is this one), `SourceVisible` (the sidecars see Telegram's own address; absent
    /// until they have seen a request), `DeliveryHealthy` (updates are stored durably and reach the CRM; absent without a queue), `FallbackReady` (the fallback takes updates in, or
    /// would; only with `spec.fallback`). `Reconciling` and `Stalled` are present only while true.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("maxItems" = 32, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// What is registered at Telegram; absent until a registration succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<RegistrationStatus>,
    /// The pods that receive this bot's updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodsStatus>,
}

impl Default for TelegramWebhookStatus {
    fn default() -> Self {
        Self {
            observed_generation: UNOBSERVED_GENERATION,
            conditions: Vec::new(),
            registration: None,
            pods: None,
        }
    }
}

/// What is registered at Telegram.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationStatus {
    /// The bot's user id, the digits in front of the token's colon.
    pub bot_id: i64,
    /// The bot's user name, without the @.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bot_username: Option<String>,
    /// The host that Telegram was told; the path is secret and appears nowhere.
    pub host: String,
    /// SHA-256 of the whole URL. The URL holds 128 random bits, so this gives nothing away, and it proves the webhook ours when
    /// this resource is deleted after its Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_digest: Option<String>,
    /// Number of the slot (secret and path) that Telegram was told. The first slot is 1.
    pub slot: i64,
    /// When Telegram accepted it.
    pub registered_at: Time,
}

/// The pods that receive this bot's updates.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PodsStatus {
    /// Pods that the selector and the opt-in label match, without those that are ending and those of a fallback.
    pub selected: i32,
    /// Those of them whose sidecar has loaded the current configuration.
    pub acknowledged: i32,
    /// Pods of the fallback that have loaded it; absent without `spec.fallback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<i32>,
}

/// The types of condition. Reasons are part of the API too: each is listed where the operator sets it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Telegram is told, the sidecars have the secrets, and pods are there to receive.
    Ready,
    /// The operator is at work, or waits for something that is expected to come. Present only while true.
    Reconciling,
    /// Nothing more happens until somebody changes something. Present only while true.
    Stalled,
    /// The bot API server accepts the token.
    TokenValid,
    /// The webhook at Telegram is the one that this resource declares.
    WebhookRegistered,
    /// Every started sidecar has loaded the current secret and path.
    SecretsDelivered,
    /// At least one selected pod is ready with its sidecar, and no selected pod runs without one.
    SidecarsReady,
    /// The sidecars see Telegram's own address. Absent until they have seen a request with the right path and token, and with
    /// `spec.verification.sourceAddress.mode` Off.
    SourceVisible,
    /// What is stored reaches the CRM. Absent until a sidecar has told, and with `spec.delivery.mode` Synchronous.
    DeliveryHealthy,
    /// The fallback takes updates in, or would if no pod of the CRM were ready. Absent without `spec.fallback`.
    FallbackReady,
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
