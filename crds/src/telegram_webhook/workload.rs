//! `spec.workload`: the pods, and where the CRM listens in them.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

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
    /// The CRM's path for updates, with its query if it has one. The CRM sees the header `Host: 127.0.0.1:<port>`. Whoever may read this resource may read it.
    #[serde(default = "default_upstream_path")]
    #[schemars(
        length(max = 512),
        regex(pattern = r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*([?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$")
    )]
    pub path: String,
}

fn default_upstream_path() -> String {
    "/".to_owned()
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
