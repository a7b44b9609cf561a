//! `spec.delivery.backend.redis` and `.rabbitMq`: a queue that all pods of the workload share.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telegram_webhook_sidecar_config::{
    Consume,
    bounds::{MAX_DATABASE, MAX_KEY_PREFIX_LENGTH, MAX_NAME_PREFIX_LENGTH, PARTITIONS, QUEUED_UPDATES},
};

use super::SecretRef;

/// A Redis, 7 or later.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("self.topology != 'Standalone' || size(self.addresses) == 1", "spec.delivery.backend.redis.addresses: topology Standalone is one server; name one, or use topology Sentinel or Cluster"))]
#[x_kube(validation = ("(self.topology == 'Sentinel') == has(self.sentinel)", "spec.delivery.backend.redis.sentinel: goes with topology Sentinel, and only with it"))]
#[x_kube(validation = ("self.topology != 'Cluster' || self.database == 0", "spec.delivery.backend.redis.database: a cluster has database 0 only"))]
#[x_kube(validation = ("self.topology != 'Cluster' || !has(self.tls) || !has(self.tls.serverName)", "spec.delivery.backend.redis.tls.serverName: each node of a cluster has a name of its own; remove it"))]
pub struct RedisSpec {
    /// Where it listens, each `host:port`: one server for `Standalone`, the sentinels for `Sentinel`, some of the nodes for `Cluster`.
    #[schemars(extend("minItems" = 1, "maxItems" = 32, "x-kubernetes-list-type" = "set", "items" = {"type": "string", "maxLength": 262, "pattern": ADDRESS}))]
    pub addresses: Vec<String>,
    /// How its servers are arranged.
    #[serde(default)]
    pub topology: TopologySpec,
    /// With topology `Sentinel`: what the sentinels are asked, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<SentinelSpec>,
    /// A Secret in this namespace with the keys `password`, and `username` where the server has users. It must carry the label
    /// `telegram-webhook.dev/delivery-secret: "true"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,
    /// Number of the database.
    #[serde(default)]
    #[schemars(range(min = 0, max = MAX_DATABASE))]
    pub database: u32,
    /// Encrypts the connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BrokerTlsSpec>,
    /// What the names of all keys begin with. The default is `telegram-webhook:`.
    #[serde(default = "key_prefix")]
    #[schemars(length(max = MAX_KEY_PREFIX_LENGTH), regex(pattern = r"^[A-Za-z0-9:._/-]*$"))]
    pub key_prefix: String,
    /// Most updates of the bot that wait. What doesn't fit is refused, and Telegram keeps it for a day. The default is 100000.
    #[serde(default = "max_updates")]
    #[schemars(range(min = *QUEUED_UPDATES.start(), max = *QUEUED_UPDATES.end()))]
    pub max_updates: u64,
    /// Who takes the updates out again: the `Sidecar`, which delivers them, or the CRM itself from the `Queue`. How they look there is in
    /// the sidecar's README.
    #[serde(default)]
    pub consume: Consume,
}

/// How the servers are arranged.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TopologySpec {
    /// One server.
    #[default]
    Standalone,
    /// One server and its replicas, and sentinels that know which one it is.
    Sentinel,
    /// A Redis Cluster.
    Cluster,
}

/// What the sentinels are asked, and how.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SentinelSpec {
    /// What they call the service.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._-]+$"))]
    pub service: String,
    /// A Secret in this namespace as that of the servers, for the sentinels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,
}

/// A RabbitMQ, 3.10 or later.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RabbitMqSpec {
    /// Where its nodes listen, each `host:port`.
    #[schemars(extend("minItems" = 1, "maxItems" = 32, "x-kubernetes-list-type" = "set", "items" = {"type": "string", "maxLength": 262, "pattern": ADDRESS}))]
    pub addresses: Vec<String>,
    /// Virtual host. The default is `/`.
    #[serde(default = "virtual_host")]
    #[schemars(length(min = 1, max = 255))]
    pub virtual_host: String,
    /// A Secret in this namespace with the keys `username` and `password`. It must carry the label
    /// `telegram-webhook.dev/delivery-secret: "true"`.
    pub credentials_secret_ref: SecretRef,
    /// Encrypts the connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BrokerTlsSpec>,
    /// What the names of all queues begin with. The default is `telegram-webhook`.
    #[serde(default = "name_prefix")]
    #[schemars(length(min = 1, max = MAX_NAME_PREFIX_LENGTH), regex(pattern = r"^[A-Za-z0-9:._/-]+$"))]
    pub name_prefix: String,
    /// Queues that the bot's chats are spread over; at most as many pods have work. Whoever changes it empties and deletes the queues
    /// first. The default is 16.
    #[serde(default = "partitions")]
    #[schemars(range(min = *PARTITIONS.start(), max = *PARTITIONS.end()))]
    pub partitions: u32,
    /// Most updates of the bot that wait, an equal share in each queue. What doesn't fit is refused, and Telegram keeps it for a day.
    /// The default is 100000.
    #[serde(default = "max_updates")]
    #[schemars(range(min = *QUEUED_UPDATES.start(), max = *QUEUED_UPDATES.end()))]
    pub max_updates: u64,
    /// Who takes the updates out again: the `Sidecar`, which delivers them, or the CRM itself from the `Queue`. How they look there is in
    /// the sidecar's README.
    #[serde(default)]
    pub consume: Consume,
}

/// How connections are encrypted. The authorities of the sidecar's image are trusted where no Secret names others.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BrokerTlsSpec {
    /// A Secret in this namespace with the key `ca.crt`, the authorities to trust, or `tls.crt` and `tls.key`, the certificate that the
    /// server asks for, or all three. It must carry the label `telegram-webhook.dev/delivery-secret: "true"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// The name that the server's certificate must be for, where that isn't its host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9.-]+$"))]
    pub server_name: Option<String>,
}

/// A name or an address, an IPv6 one in brackets, and a port.
const ADDRESS: &str = r"^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[1-9][0-9]{0,4}$";

fn key_prefix() -> String {
    "telegram-webhook:".to_owned()
}

fn name_prefix() -> String {
    "telegram-webhook".to_owned()
}

fn virtual_host() -> String {
    "/".to_owned()
}

fn partitions() -> u32 {
    16
}

fn max_updates() -> u64 {
    100_000
}
