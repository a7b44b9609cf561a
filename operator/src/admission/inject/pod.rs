//! As much of a pod's spec as is decided by. The API's own type has room for everything: a short list in a review would take
//! hundreds of times its size in memory.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    pub containers: Vec<Container>,
    pub init_containers: Option<Vec<Container>>,
    pub volumes: Option<Vec<Named>>,
    pub host_network: Option<bool>,
    pub os: Option<Named>,
    pub termination_grace_period_seconds: Option<i64>,
    pub share_process_namespace: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    pub name: String,
    pub ports: Option<Vec<Port>>,
    pub volume_mounts: Option<Vec<Named>>,
    pub resources: Option<Resources>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    pub name: Option<String>,
    pub container_port: i32,
}

/// A volume, a mount, an operating system.
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
