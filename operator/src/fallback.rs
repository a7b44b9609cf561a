//! The fallback: who takes updates in while no pod of the CRM is ready.
//!
//! # What there is
//!
//! `spec.fallback` makes a Deployment (`reconcile::build`) of pods that consist of the sidecar, which the injector puts in as in
//! any other pod, and of a container of the same image that does nothing, because a pod must have one. The sidecar runs with
//! `--store-only`. Its configuration is the same Secret as everywhere, hence the same digest: a pass over the resource waits for a
//! fallback that runs, as it does for the CRM's pods, before Telegram is told anything new.
//!
//! # How it is reached
//!
//! By the Services that lead to the CRM's sidecars, the user's own among them: its pods have the labels of `spec.workload.selector`, the
//! label that opts in, and the port's name. So a change of hands is one of readiness, and nothing in front has to know of it. What else
//! selects by these labels meets the pods too, which is why the field's documentation asks for labels that nothing else selects by. A
//! ReplicaSet or StatefulSet of the CRM doesn't: these adopt only pods that nobody owns. Nor is a port reached by its number when
//! nothing listens there.
//!
//! # When it is ready
//!
//! Its pods have the readiness gate [`FALLBACK_GATE`], which is this module's to set: true if no running pod of the CRM with a sidecar is
//! ready, false otherwise. The gate is what a pod is known by as one of a fallback, by the injector (store only), by the policy of the
//! chart (store only if and only if there is the gate) and by a pass (none of the CRM's): unlike a label it can't be changed. Without the
//! operator a gate stays what it is; a fallback that is ready beside the CRM does no harm, since both store in one queue.
//!
//! A controller of its own does it, beside the one that passes over resources: a pass asks sidecars, DNS and Telegram, and those
//! may be slow just when the CRM's node has failed. From a pod's event to the gate it takes one list and one patch, then the kubelet
//! says that the pod is ready, and the Services follow: two seconds after the CRM was scaled to nothing, on a small machine under load.
//! Telegram tries again what comes in between. It goes on while `spec.suspend` is true, like everything that works.
//!
//! # Where its updates go
//!
//! Into the Redis or RabbitMQ that it shares with the CRM's pods, whose sidecars deliver what is there, in order, as soon as there is
//! one of them again. A fallback with a queue of its own would have to hand its updates over to the sidecars of the CRM's pods, past
//! the check of the client's address and in each chat's order against what Telegram sends at the same time: that is not done, and
//! the definition refuses `spec.fallback` with the backend `embedded`. Where a resource with a queue of its own selects the pods of
//! another one's fallback, these answer 503 for it, and Telegram keeps its updates.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Pod, PodCondition},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
    core::PartialObjectMeta,
    runtime::{
        Controller,
        controller::{Action, Config},
        watcher,
    },
};
use serde_json::json;
use telegram_webhook_crds::{FALLBACK_GATE, FALLBACK_LABEL, FIELD_MANAGER, INJECT_LABEL, TelegramWebhook};
use tokio_util::sync::CancellationToken;

use crate::{
    controller::selecting,
    kubernetes::{Error, within},
    pods::{condition, has_sidecar, is_of_fallback, is_ready, is_running},
    reconcile::register::whole_second,
};

/// Passes at once.
const CONCURRENCY: u16 = 16;
/// Between two looks where nothing has happened.
const RESYNC: Duration = Duration::from_mins(1);
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The labels of a fallback's pods: those of the CRM's pods, and whose fallback it is.
pub fn pod_labels(webhook: &str, selector: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = selector.clone();
    labels.insert(INJECT_LABEL.to_owned(), "true".to_owned());
    labels.insert(FALLBACK_LABEL.to_owned(), webhook.to_owned());
    labels
}

/// Keeps the gates of all fallbacks until `shutdown`.
pub async fn run(client: Client, shutdown: CancellationToken) {
    let webhooks = Api::<TelegramWebhook>::all(client.clone());
    let pods = watcher::Config::default().labels(&format!("{INJECT_LABEL}=true"));
    let controller = Controller::new(webhooks, watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY));
    let store = controller.store();
    controller
        .watches(Api::<PartialObjectMeta<Pod>>::all(client.clone()), pods, move |pod| {
            selecting(&store.state(), &pod)
        })
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(keep, |_, _, _| Action::requeue(RETRY), Arc::new(client))
        .for_each(async |result| {
            if let Err(error) = result {
                tracing::warn!(%error, "fallback");
            }
        })
        .await;
}

/// Sets the gates of one resource's fallback as the CRM's pods are now.
async fn keep(webhook: Arc<TelegramWebhook>, client: Arc<Client>) -> Result<Action, Error> {
    if webhook.spec.fallback.is_none() || webhook.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let namespace = webhook.namespace().unwrap_or_default();
    let api = Api::<Pod>::namespaced(Client::clone(&client), &namespace);
    let opted_in = ListParams::default().labels(&format!("{INJECT_LABEL}=true"));
    let pods = within(api.list(&opted_in)).await?.items;
    let wanted = !pods.iter().any(|pod| receives(&webhook, pod));
    for pod in pods.iter().filter(|pod| is_own(&webhook, pod) && gate(pod) != Some(wanted)) {
        let patch = Patch::Strategic(json!({"status": {"conditions": [condition_of(wanted)]}}));
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match within(api.patch_status(&pod.name_any(), &params, &patch)).await {
            Err(error) if error.is_not_found() => {}
            result => drop(result?),
        }
        tracing::info!(namespace, pod = pod.name_any(), no_crm_pod_ready = wanted, "gate set");
    }
    Ok(Action::requeue(RESYNC))
}

/// Whether it is a pod of the CRM that updates can be sent to.
fn receives(webhook: &TelegramWebhook, pod: &Pod) -> bool {
    webhook.spec.workload.selector.matches(pod.labels())
        && has_sidecar(pod)
        && !is_of_fallback(pod)
        && is_running(pod)
        && is_ready(pod)
}

/// Whether it is a pod of the resource's fallback.
fn is_own(webhook: &TelegramWebhook, pod: &Pod) -> bool {
    is_of_fallback(pod) && is_running(pod) && pod.labels().get(FALLBACK_LABEL) == Some(&webhook.name_any())
}

/// What its gate says; `None` before anybody has set it.
fn gate(pod: &Pod) -> Option<bool> {
    condition(pod, FALLBACK_GATE).map(|gate| gate.status == "True")
}

fn condition_of(no_crm_pod_ready: bool) -> PodCondition {
    let (status, reason, message) = if no_crm_pod_ready {
        ("True", "CrmNotReady", "no pod of the CRM is ready: this one takes updates in")
    } else {
        ("False", "CrmReady", "a pod of the CRM is ready: this one stands by")
    };
    PodCondition {
        type_: FALLBACK_GATE.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(whole_second(Timestamp::now()))),
        ..PodCondition::default()
    }
}

#[cfg(test)]
mod tests;
