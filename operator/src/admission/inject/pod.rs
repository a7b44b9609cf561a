//! As much of a pod's spec as is decided by. The API's own type has room for everything: a short list in a review would take
//! hundreds of times its size in memory.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use telegram_webhook_crds::FALLBACK_GATE;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    pub containers: Vec<Container>,
    pub init_containers: Option<Vec<Container>>,
    pub volumes: Option<Vec<Volume>>,
    pub host_network: Option<bool>,
    pub os: Option<Named>,
    pub termination_grace_period_seconds: Option<i64>,
    pub share_process_namespace: Option<bool>,
    pub security_context: Option<SecurityContext>,
    pub readiness_gates: Option<Vec<ReadinessGate>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadinessGate {
    pub condition_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    pub name: String,
    pub ports: Option<Vec<Port>>,
    pub volume_mounts: Option<Vec<Named>>,
    pub resources: Option<Resources>,
    pub lifecycle: Option<Lifecycle>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    pub name: Option<String>,
    pub container_port: i32,
}

/// A mount, an operating system.
#[derive(Deserialize)]
pub struct Named {
    pub name: String,
}

/// Quantities by name of the resource.
#[derive(Deserialize)]
pub struct Resources {
    pub limits: Option<BTreeMap<String, String>>,
    pub requests: Option<BTreeMap<String, String>>,
}

/// A volume, and what it is made of if that can't be written to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    pub name: String,
    pub config_map: Option<IgnoredAny>,
    pub secret: Option<IgnoredAny>,
    pub projected: Option<IgnoredAny>,
    #[serde(rename = "downwardAPI")]
    pub downward_api: Option<IgnoredAny>,
    pub persistent_volume_claim: Option<Claim>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    pub read_only: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    pub fs_group: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lifecycle {
    pub pre_stop: Option<PreStop>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PreStop {
    pub http_get: Option<HttpGet>,
}

#[derive(Deserialize)]
pub struct HttpGet {
    pub path: Option<String>,
    /// A number, or a port's name.
    pub port: Value,
}

// === impl PodSpec ===

impl PodSpec {
    /// Whether it is that of a fallback's pod.
    pub fn is_of_fallback(&self) -> bool {
        self.readiness_gates.iter().flatten().any(|gate| gate.condition_type == FALLBACK_GATE)
    }
}
