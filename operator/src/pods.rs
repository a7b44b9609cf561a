//! What a pod's own fields tell.

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use telegram_webhook_crds::{FALLBACK_GATE, SIDECAR_CONTAINER};

/// Neither ending nor ended.
pub fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether the kubelet calls it ready.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
}

/// One of its conditions.
pub fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether it has our container.
pub fn has_sidecar(pod: &Pod) -> bool {
    let containers = pod.spec.as_ref().and_then(|spec| spec.init_containers.as_ref());
    containers.into_iter().flatten().any(|container| container.name == SIDECAR_CONTAINER)
}

/// Whether it is one of a fallback, and no pod of a CRM. By its gate and not by a label: labels change.
pub fn is_of_fallback(pod: &Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_ref());
    gates.into_iter().flatten().any(|gate| gate.condition_type == FALLBACK_GATE)
}
