//! What is watched, and which resource an event concerns. No business logic.
//!
//! Secrets aren't watched: that would take the right to read all of them. They are looked at by name at each pass, and a pass
//! comes at least once per resync period.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        Controller,
        controller::Config,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use telegram_webhook_crds::{FIELD_MANAGER, INJECT_LABEL, TelegramWebhook};
use tokio_util::sync::CancellationToken;

use crate::reconcile::{Context, error_policy, reconcile};

/// Passes at once. Each waits for networks most of the time.
const CONCURRENCY: u16 = 16;
/// A starting pod changes several times in a moment.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Reconciles until `shutdown`, then finishes what is under way.
pub async fn run(
    client: Client,
    context: impl FnOnce(Store<TelegramWebhook>) -> Context,
    shutdown: CancellationToken,
) {
    let webhooks = Api::<TelegramWebhook>::all(client.clone());
    let children =
        watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={FIELD_MANAGER}"));
    let pods = watcher::Config::default().labels(&format!("{INJECT_LABEL}=true"));
    let controller = Controller::new(webhooks, watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE));
    let store = controller.store();
    let context = Arc::new(context(store.clone()));
    controller
        .owns(Api::<Service>::all(client.clone()), children)
        .watches(Api::<PartialObjectMeta<Pod>>::all(client), pods, move |pod| selecting(&store.state(), &pod))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(reconcile, error_policy, context)
        .for_each(async |result| {
            // what a pass itself has to say is in its status and log line
            if let Err(error @ kube::runtime::controller::Error::QueueError(_)) = result {
                tracing::warn!(%error, "watch");
            }
        })
        .await;
}

/// The resources whose selector matches the pod.
pub fn selecting(
    webhooks: &[Arc<TelegramWebhook>],
    pod: &PartialObjectMeta<Pod>,
) -> Vec<ObjectRef<TelegramWebhook>> {
    webhooks
        .iter()
        .filter(|webhook| webhook.namespace() == pod.namespace())
        .filter(|webhook| webhook.spec.workload.selector.matches(pod.labels()))
        .map(|webhook| ObjectRef::from_obj(webhook.as_ref()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn pod(namespace: &str, app: &str) -> PartialObjectMeta<Pod> {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "crm-0", "namespace": namespace, "labels": {"app": app, "telegram-webhook.dev/inject": "true"}}
        }))
        .unwrap()
    }

    #[test]
    fn a_pod_concerns_the_resources_of_its_namespace_that_select_it() {
        let webhooks = [Arc::new(fixtures::webhook())];
        let names = |pod| selecting(&webhooks, &pod).into_iter().map(|found| found.name).collect::<Vec<_>>();
        assert_eq!(names(pod("crm", "helpdesk")), ["support"]);
        assert!(names(pod("crm", "other")).is_empty());
        assert!(names(pod("elsewhere", "helpdesk")).is_empty());
    }
}
