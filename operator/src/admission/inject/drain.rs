//! The order in which a pod ends. Kubernetes tells all containers at once that the pod goes away, and stops the sidecar last, but the
//! CRM at once: what is in the queue would have nobody to go to. So the other containers get a hook that waits, before they are
//! stopped, until the sidecar has handed over its queue: not ready any more -> Telegram goes elsewhere -> queue handed to the CRM ->
//! CRM stops -> sidecar stops. With a queue that pods share the CRM waits until what it has in hand is finished and the rest left to the
//! other pods; otherwise it would be stopped with updates half done, and their chats would wait for the sidecar's end. A hook that a container has
//! already stays; the CRM's own may wait as well.

use json_patch::PatchOperation;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use telegram_webhook_crds::{ADMIN_PORT, BackendSpec, DeliverySpec, SIDECAR_CONTAINER, TelegramWebhook};
use telegram_webhook_sidecar_config::{Consume, DRAINED_PATH};

use super::{
    patch::add,
    pod::{Container, PodSpec, PreStop},
};

/// What Kubernetes gives a pod that doesn't say.
const GRACE_PERIOD_SECONDS: i64 = 30;

/// For how many seconds a pod's end may wait for the queue: half of all that it has, so that the containers can still stop in order.
/// `None` without a queue that the pod has or takes updates from.
pub fn wait_seconds(matching: &[&TelegramWebhook], spec: &PodSpec) -> Option<i64> {
    matching.iter().find(|webhook| hands_over(&webhook.spec.delivery))?;
    Some(spec.termination_grace_period_seconds.unwrap_or(GRACE_PERIOD_SECONDS).max(0) / 2)
}

/// Whether the sidecar hands updates to the CRM from a queue. Those that the CRM takes out itself are its own matter.
fn hands_over(delivery: &DeliverySpec) -> bool {
    let shared = delivery.backend.as_ref().and_then(|BackendSpec { embedded: _, redis, rabbit_mq }| {
        let redis = redis.as_ref().map(|redis| redis.consume);
        redis.or_else(|| rabbit_mq.as_ref().map(|rabbit_mq| rabbit_mq.consume))
    });
    delivery.embedded().is_some() || shared == Some(Consume::Sidecar)
}

/// The command of the sidecar's own hook.
pub fn command(wait_seconds: Option<i64>) -> Value {
    let drain = json!(["/telegram-webhook-sidecar", "drain"]);
    match wait_seconds {
        Some(seconds) => json!(["/telegram-webhook-sidecar", "drain", "--wait-seconds", seconds.to_string()]),
        None => drain,
    }
}

/// Lets the containers that have no hook wait.
pub fn hold_containers(pod: &DynamicObject, spec: &PodSpec, operations: &mut Vec<PatchOperation>) {
    let hook = json!({"httpGet": {"path": DRAINED_PATH, "port": ADMIN_PORT, "scheme": "HTTP"}});
    for (index, container) in spec.containers.iter().enumerate() {
        if pre_stop(container).is_some() {
            continue;
        }
        let place = index.to_string();
        let path = ["spec", "containers", &place, "lifecycle"];
        if pod.data["spec"]["containers"][index]["lifecycle"].is_object() {
            operations.push(add(&[&path[..], &["preStop"]].concat(), hook.clone()));
        } else {
            operations.push(add(&path, json!({"preStop": hook})));
        }
    }
}

/// Containers whose own hook decides when they are stopped.
pub fn warning(spec: &PodSpec) -> Option<String> {
    let ours = |hook: &PreStop| {
        let get = hook.http_get.as_ref();
        get.is_some_and(|get| get.path.as_deref() == Some(DRAINED_PATH) && get.port == ADMIN_PORT)
    };
    let own = |container: &&Container| pre_stop(container).is_some_and(|hook| !ours(hook));
    let names: Vec<&str> = spec.containers.iter().filter(own).map(|it| it.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "containers {} have a preStop hook of their own: if it ends before {SIDECAR_CONTAINER} has handed over its queue, what \
             is left ends with the pod or, where pods share the queue, comes again. Let the hook wait for \
             GET http://127.0.0.1:{ADMIN_PORT}{DRAINED_PATH}, or remove it",
            names.join(", ")
        )
    })
}

fn pre_stop(container: &Container) -> Option<&PreStop> {
    container.lifecycle.as_ref()?.pre_stop.as_ref()
}
