//! `spec.verification`: what shows that a request is Telegram's, beside its secret token.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telegram_webhook_sidecar_config::{AddressMode, AddressRefusal, HmacEncoding};

use super::text::{Network, Period};

/// What shows that a request is Telegram's, beside its secret token.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct VerificationSpec {
    /// What is done about addresses that aren't Telegram's.
    #[serde(default)]
    pub source_address: SourceAddressSpec,
    /// The signature of a relay that stands between Telegram and the sidecar and signs what it passes on. Telegram itself doesn't
    /// sign, so without such a relay leave it out: every update would be refused with 401.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<HmacSpec>,
}

/// What is done about addresses that aren't Telegram's.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.ranges != 'Custom' || size(self.custom) > 0", "spec.verification.sourceAddress.custom: list the networks that updates come from, or use ranges Documented"))]
#[x_kube(validation = ("self.ranges == 'Custom' || size(self.custom) == 0", "spec.verification.sourceAddress.custom: has no effect with ranges Documented; use ranges Custom, or remove it"))]
#[x_kube(validation = ("self.custom.all(network, !isCIDR(network) || cidr(network).prefixLength() >= (cidr(network).ip().family() == 4 ? 8 : 7))", "spec.verification.sourceAddress.custom: use networks of /8 or smaller for IPv4 and /7 or smaller for IPv6: anything larger lets strangers in"))]
pub struct SourceAddressSpec {
    /// `Enforce` refuses unlisted addresses. `Shadow` only counts what it would refuse: see the metrics before you enforce. `Off`
    /// doesn't look. The default is `Enforce`, because Telegram has sent from the documented networks alone for years. It needs
    /// `spec.endpoint.clientAddress` to be right: behind a proxy or a load balancer the socket's address isn't Telegram's.
    #[serde(default)]
    pub mode: AddressMode,
    /// Which networks are listed. `Documented` are 149.154.160.0/20 and 91.108.4.0/22, those that
    /// <https://core.telegram.org/bots/webhooks> names; `Custom` are those of `custom` and no others, for a self-hosted Bot API
    /// server or a relay. A listed address is never banned.
    #[serde(default)]
    pub ranges: AddressRanges,
    /// The listed networks with ranges `Custom`, in CIDR notation: at least one then, none otherwise.
    #[serde(default)]
    #[schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "set"))]
    pub custom: Vec<Network>,
    /// How unlisted addresses are refused. `Status` answers 403, as one expects of a web server. `Close` closes the connection
    /// before the TLS handshake, which costs next to nothing, where the address is known by then: not with the client address
    /// `XForwardedFor`, and only if all resources that share the pod ask for it.
    #[serde(default)]
    pub refusal: AddressRefusal,
}

/// Which networks are Telegram's.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressRanges {
    /// Those that Telegram documents.
    #[default]
    Documented,
    /// Those that the resource lists.
    Custom,
}

/// How a relay signs; HMAC-SHA256 in either scheme.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.scheme != 'Body' || (has(self.header) && has(self.encoding))", "spec.verification.hmac: the scheme Body needs header and encoding: say where the relay puts the signature, and how it writes it"))]
#[x_kube(validation = ("self.scheme == 'Body' || (!has(self.header) && !has(self.encoding))", "spec.verification.hmac: the scheme StandardWebhooks fixes header and encoding; remove both"))]
#[x_kube(validation = ("self.scheme != 'Body' || !has(self.tolerance)", "spec.verification.hmac.tolerance: the scheme Body signs no time; remove it"))]
pub struct HmacSpec {
    /// What is signed. `Body`: the raw body, in a header of the relay's choice. `StandardWebhooks`: as
    /// <https://www.standardwebhooks.com> says, id, time and body, in the header `webhook-signature`.
    pub scheme: HmacScheme,
    /// With the scheme `Body`: name of the header that holds the signature, which `sha256=` may precede.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub header: Option<String>,
    /// With the scheme `Body`: how the header writes the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HmacEncoding")]
    pub encoding: Option<HmacEncoding>,
    /// With the scheme `StandardWebhooks`: how much the signed time may be off, such as `5m`, which is what the specification
    /// recommends and what holds if this is left out; at most an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Period>,
    /// The key of a Secret in this namespace that holds the signing key: for `Body` as text of 16 characters or more, for
    /// `StandardWebhooks` as `whsec_` and base64 of 24 to 64 bytes. The Secret must carry the label
    /// `telegram-webhook.dev/hmac-secret: "true"`.
    pub secret_ref: HmacSecretRef,
}

/// The key of a Secret in the same namespace that holds a signing key.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct HmacSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What is signed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacScheme {
    /// The raw body.
    Body,
    /// Id, time and body.
    StandardWebhooks,
}
