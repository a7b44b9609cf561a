//! Why a pod is refused. The text is what a user reads in the events of a ReplicaSet, so each says what to do.

use std::collections::BTreeMap;

use telegram_webhook_crds::{
    ADMIN_PORT, GROUP, INJECT_LABEL, SIDECAR_CONTAINER, TelegramWebhook, WEBHOOK_PORT,
};

use super::sidecar;

/// How many labels or resources a message names before it says "and more".
const MAX_NAMED: usize = 10;

/// Why a pod is refused, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Denial {
    #[error(
        "the pod carries the label {INJECT_LABEL}=true, but no TelegramWebhook in namespace {namespace} selects it. \
         Labels of the pod: {labels}. TelegramWebhooks in the namespace: {webhooks}. Create a TelegramWebhook whose \
         spec.workload.selector.matchLabels are all among the pod's labels, correct one of the two, or remove the label"
    )]
    NoMatch { namespace: String, labels: String, webhooks: String },
    #[error(
        "TelegramWebhooks {first} and {second} select this pod, both with spec.endpoint.host {host} but with different \
         spec.endpoint.tls.secretRef: the sidecar could not tell which certificate to show. Let both name the same \
         Secret, or use different hosts"
    )]
    AmbiguousCertificate { host: String, first: String, second: String },
    #[error(
        "TelegramWebhooks {first} and {second} select this pod, and want their queues on different volumes: the sidecar has \
         one folder for both. Let both declare the same spec.delivery.backend.embedded.volume, or neither"
    )]
    AmbiguousVolume { first: String, second: String },
    #[error(
        "the pod has no volume {name}, which spec.delivery.backend.embedded.volume of TelegramWebhook {webhook} names. Add it \
         to the pod template's volumes, or to the StatefulSet's volumeClaimTemplates"
    )]
    NoVolume { webhook: String, name: String },
    #[error(
        "volume {name}, which spec.delivery.backend.embedded.volume of TelegramWebhook {webhook} names, can't be written to. \
         Name another one, such as a persistentVolumeClaim that is not readOnly"
    )]
    ReadOnlyVolume { webhook: String, name: String },
    #[error(
        "spec.hostNetwork is true: the sidecar's ports would be the node's, and other pods could reach the application \
         around it. Remove hostNetwork or the label {INJECT_LABEL}"
    )]
    HostNetwork,
    #[error("spec.os.name is windows: the sidecar runs on Linux only. Remove the label {INJECT_LABEL}")]
    Windows,
    #[error(
        "a container in spec.containers is named {SIDECAR_CONTAINER}: that name is the sidecar's. Rename the container"
    )]
    ContainerName,
    #[error(
        "container {container} declares port {number} (name {name:?}): ports {WEBHOOK_PORT} and {ADMIN_PORT} and the \
         names tg-webhook and tg-admin are the sidecar's. Let the application use another port"
    )]
    Port { container: String, name: String, number: i32 },
    #[error("the pod has a volume named {0}: that name is the sidecar's. Rename the volume")]
    VolumeName(String),
    #[error("container {0} mounts the volume with the sidecar's secrets. Remove that mount")]
    SecretsMounted(String),
    #[error("the pod can't be read: {0}")]
    Unreadable(#[source] serde_json::Error),
}

/// The denial of a pod that none of `webhooks` selects.
pub fn no_match(namespace: &str, labels: &BTreeMap<String, String>, webhooks: &[TelegramWebhook]) -> Denial {
    let group = format!("{GROUP}/");
    let labels = labels.iter().filter(|(key, _)| !key.starts_with(&group));
    let webhooks = webhooks.iter().map(|webhook| {
        let wanted = webhook.spec.workload.selector.match_labels.iter();
        let state = match webhook.metadata.deletion_timestamp {
            Some(_) => ", being deleted",
            None => "",
        };
        format!("{} (matchLabels {}{state})", sidecar::name(webhook), listed(wanted.map(pair)))
    });
    Denial::NoMatch {
        namespace: namespace.to_owned(),
        labels: listed(labels.map(pair)),
        webhooks: listed(webhooks),
    }
}

fn pair((key, value): (&String, &String)) -> String {
    format!("{key}={value}")
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return "none".to_owned();
    }
    let mut named: Vec<String> = items.by_ref().take(MAX_NAMED).collect();
    if items.peek().is_some() {
        named.push("and more".to_owned());
    }
    named.join(", ")
}
