//! `spec.endpoint`: the public address, and what lies between it and the sidecar.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use telegram_webhook_sidecar_config::AddressSource;

use super::{SecretRef, text::Network};

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
    /// Where the client's address is found.
    #[serde(default)]
    pub client_address: ClientAddressSpec,
}

/// Where the client's address is found. Resources that share a pod must say the same: it is found before the request is read.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.source == 'Peer' || size(self.trustedProxies) > 0", "spec.endpoint.clientAddress.trustedProxies: list the networks of the proxies in front of the pods: anybody else could forge the address"))]
#[x_kube(validation = ("self.source != 'Peer' || size(self.trustedProxies) == 0", "spec.endpoint.clientAddress.trustedProxies: has no effect with source Peer; use source ProxyProtocol or XForwardedFor, or remove it"))]
#[x_kube(validation = ("self.trustedProxies.all(network, !isCIDR(network) || cidr(network).prefixLength() >= (cidr(network).ip().family() == 4 ? 8 : 7))", "spec.endpoint.clientAddress.trustedProxies: use networks of /8 or smaller for IPv4 and /7 or smaller for IPv6: anything larger lets strangers in"))]
pub struct ClientAddressSpec {
    /// The one place to look at. `Peer`, the default, is the other end of the TCP connection: right if nothing in front of the pod
    /// replaces it (with a Service of type LoadBalancer, `externalTrafficPolicy: Local`). `ProxyProtocol` is the header of
    /// the PROXY protocol, version 1 or 2, with which every connection must then begin. `XForwardedFor` is the right-most
    /// hop of that header that is no trusted proxy.
    #[serde(default)]
    pub source: AddressSource,
    /// Networks of the proxies in front, in CIDR notation: only these are believed, and they are never banned. At least one unless the
    /// source is `Peer`, none then.
    #[serde(default)]
    #[schemars(extend("maxItems" = 64, "x-kubernetes-list-type" = "set"))]
    pub trusted_proxies: Vec<Network>,
}

/// The certificate that the sidecar serves.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TlsSpec {
    /// A Secret of type `kubernetes.io/tls` in this namespace, such as cert-manager makes: `tls.crt` holds the chain, leaf
    /// first, and `tls.key` its key, not encrypted. A renewed certificate is served without a restart.
    pub secret_ref: SecretRef,
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
