//! `spec.fallback`: who takes updates in while no pod of the CRM is ready.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;

/// Pods that take updates in while no pod of the CRM is ready.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FallbackSpec {
    /// How many of them there are, from 1 to 5. The default is 1.
    #[serde(default = "replicas")]
    #[schemars(range(min = 1, max = 5))]
    pub replicas: i32,
    /// Secrets in this namespace by which the sidecar's image is pulled, where its registry wants credentials and the service account
    /// `default` has none.
    #[serde(default)]
    #[schemars(extend("maxItems" = 8, "x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<SecretRef>,
}

// === impl FallbackSpec ===

impl Default for FallbackSpec {
    fn default() -> Self {
        Self { replicas: replicas(), image_pull_secrets: Vec::new() }
    }
}

fn replicas() -> i32 {
    1
}
