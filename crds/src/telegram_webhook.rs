//! The `TelegramWebhook` spec as a user writes it, with the rules that the API server can check by itself.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::TelegramWebhookStatus;

/// Telegram's own Bot API server, the default of `spec.bot.apiServer`.
pub const DEFAULT_API_SERVER: &str = "https://api.telegram.org";

/// One bot's webhook: where Telegram sends its updates, and which pods receive them.
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
    /// What happens to the webhook at Telegram when this resource is deleted. `Retain` leaves it registered, so that an
    /// accident can't silence a bot; `Delete` removes it, if it is still ours.
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

/// The pods that receive this bot's updates.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// Selects pods of this namespace. They must also carry the label `telegram-webhook.dev/inject: "true"`. Several
    /// resources may select the same pod.
    pub selector: WorkloadSelector,
    /// Where the CRM listens inside its pod.
    pub upstream: UpstreamSpec,
}

/// Selects pods by labels.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.matchLabels.all(key, !format.qualifiedName().validate(key).hasValue())", "spec.workload.selector.matchLabels: a key is no label's; use a name of at most 63 letters, digits, '-', '_' and '.', with a DNS name and '/' in front if need be"))]
pub struct WorkloadSelector {
    /// Labels that a pod must have, all of them. Only equality, because the Service that leads to the pods knows no more.
    #[schemars(extend(
        "minProperties" = 1,
        "maxProperties" = 16,
        "additionalProperties" = {"type": "string", "maxLength": 63, "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"}
    ))]
    pub match_labels: BTreeMap<String, String>,
}

impl WorkloadSelector {
    /// Whether a pod with these labels is selected. No labels select nothing, though they mean everything elsewhere in Kubernetes.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let wanted = &self.match_labels;
        !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// Where the CRM listens inside its pod.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!(self.port in [18443, 18444])", "spec.workload.upstream.port: 18443 and 18444 are the sidecar's own ports in the pod; let the CRM listen on another one"))]
pub struct UpstreamSpec {
    /// The CRM's plain HTTP port, reached at 127.0.0.1.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// The CRM's path for updates, with its query if it has one. Whoever may read this resource may read it.
    #[serde(default = "default_upstream_path")]
    #[schemars(
        length(max = 512),
        regex(pattern = r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*([?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$")
    )]
    pub path: String,
}

/// The public address that Telegram sends updates to.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.port in [443, 80, 88, 8443]", "spec.endpoint.port: Telegram delivers to 443, 80, 88 and 8443 only; use one of them"))]
#[x_kube(validation = ("!has(self.ipAddress) || (isIP(self.ipAddress) && ip(self.ipAddress).family() == 4)", "spec.endpoint.ipAddress: must be an IPv4 address: Telegram delivers over IPv4 only"))]
#[x_kube(validation = ("!isIP(self.host)", "spec.endpoint.host: must be a DNS name, which the certificate is for; an address goes into spec.endpoint.ipAddress"))]
pub struct EndpointSpec {
    /// DNS name that Telegram connects to. It must resolve to a public IPv4 address that leads to the Service
    /// `<name>-telegram-webhook`, and the certificate must be for it.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub host: String,
    /// Public port: 443, 80, 88 or 8443. The Service `<name>-telegram-webhook` has it too.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Path in front of the random segment that the operator makes.
    #[serde(default = "default_path_prefix")]
    #[schemars(length(max = 128), regex(pattern = r"^(/[A-Za-z0-9_-]+)*$"))]
    pub path_prefix: String,
    /// IPv4 address that Telegram must use instead of resolving `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 15))]
    pub ip_address: Option<String>,
    /// How many connections Telegram may open at once.
    #[serde(default = "default_max_connections")]
    #[schemars(range(min = 1, max = 100))]
    pub max_connections: u8,
    /// The certificate that the sidecar serves.
    pub tls: TlsSpec,
}

/// The certificate that the sidecar serves.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// A Secret of type `kubernetes.io/tls` in this namespace, such as cert-manager makes: `tls.crt` holds the chain, leaf
    /// first, and `tls.key` its key. A renewed certificate is served without a restart.
    pub secret_ref: SecretRef,
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

fn default_upstream_path() -> String {
    "/".to_owned()
}

fn default_port() -> u16 {
    443
}

fn default_path_prefix() -> String {
    "/telegram".to_owned()
}

/// Telegram's own default.
fn default_max_connections() -> u8 {
    40
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_pod_must_have_every_label_and_no_labels_select_nothing() {
        let selector = |pairs| WorkloadSelector { match_labels: labels(pairs) };
        let pod = labels(&[("app", "crm"), ("track", "stable"), ("more", "")]);
        assert!(selector(&[("app", "crm"), ("track", "stable")]).matches(&pod));
        assert!(!selector(&[("app", "crm"), ("track", "canary")]).matches(&pod));
        assert!(!selector(&[("app", "crm"), ("absent", "")]).matches(&pod));
        assert!(!selector(&[]).matches(&pod));
    }
}
