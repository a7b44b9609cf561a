//! Where the sidecar of a pod keeps its queue. The injector gives the place, and writes down on the pod what it gave; a pass reads
//! that, because a pod's volumes stay what they are when a resource changes.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};
use telegram_webhook_crds::{EmbeddedSpec, TelegramWebhook, VolumeSpec};

/// Says which operator injected a pod, for which resources, and what it gave them.
pub const INJECTED_ANNOTATION: &str = "telegram-webhook.dev/injected";

/// The value of [`INJECTED_ANNOTATION`].
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Injected {
    /// The operator's.
    pub version: String,
    /// Names of the resources that selected the pod.
    pub webhooks: Vec<String>,
    /// How much of the volume that ends with the pod each resource's queue may take.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub queue_mebibytes: BTreeMap<String, u64>,
    /// The volume of the pod itself that queues are on instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeSpec>,
}

/// Where a queue is, or shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The volume of the pod itself.
    pub volume: Option<VolumeSpec>,
    /// Without one: bytes that the queue may take.
    pub room: Option<u64>,
}

// === impl Injected ===

impl Injected {
    /// What resources get that share a pod, sorted by name. A queue of the usual size has room even where none is declared: it may be
    /// later, while the pod runs.
    pub fn new(webhooks: &[&TelegramWebhook], volume: Option<VolumeSpec>) -> Self {
        let room = |webhook: &&TelegramWebhook| (webhook.name_any(), queue_mebibytes(webhook));
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            webhooks: webhooks.iter().map(|webhook| webhook.name_any()).collect(),
            queue_mebibytes: if volume.is_some() {
                BTreeMap::new()
            } else {
                webhooks.iter().map(room).collect()
            },
            volume,
        }
    }

    /// Reads what an injector wrote.
    pub fn read(annotation: &str) -> Option<Self> {
        serde_json::from_str(annotation).ok()
    }

    /// The annotation.
    pub fn annotation(&self) -> String {
        // serialising plain structs of strings and numbers to memory has no way to fail
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What one of the resources got.
    pub fn place(&self, webhook: &str) -> Place {
        let room = self.queue_mebibytes.get(webhook).map(|mebibytes| mebibytes << 20);
        Place { volume: self.volume.clone(), room: room.filter(|_| self.volume.is_none()) }
    }
}

// === impl Place ===

impl Place {
    /// What a resource declares, if it is to have a queue in the pod.
    pub fn wanted(webhook: &TelegramWebhook) -> Option<Self> {
        let EmbeddedSpec { volume, .. } = webhook.spec.delivery.embedded()?;
        let room = volume.is_none().then(|| queue_mebibytes(webhook) << 20);
        Some(Self { volume, room })
    }

    /// Whether what a pod has will do where `wanted` is declared.
    pub fn is_enough_for(&self, wanted: &Self) -> bool {
        self.volume == wanted.volume && self.room >= wanted.room
    }
}

fn queue_mebibytes(webhook: &TelegramWebhook) -> u64 {
    let declared = webhook.spec.delivery.embedded().and_then(|embedded| embedded.size.bytes());
    declared.or_else(|| EmbeddedSpec::default().size.bytes()).unwrap_or_default() >> 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::webhook_with;

    fn declaring(backend: &str) -> TelegramWebhook {
        webhook_with(&[("  workload:", &format!("  delivery: {{{backend}}}\n  workload:"))])
    }

    fn given(webhook: &TelegramWebhook) -> Place {
        let volume = webhook.spec.delivery.embedded().and_then(|embedded| embedded.volume);
        let annotation = Injected::new(&[webhook], volume).annotation();
        Injected::read(&annotation).unwrap().place("support")
    }

    #[test]
    fn what_was_given_is_enough_for_as_much_or_less_in_the_same_place() {
        let volume = "volume: {name: data}";
        let small = declaring("backend: {embedded: {size: 64Mi}}");
        let large = declaring("backend: {embedded: {size: 1Gi}}");
        let kept = declaring(&format!("backend: {{embedded: {{size: 1Gi, {volume}}}}}"));
        let small_kept = declaring(&format!("backend: {{embedded: {{size: 64Mi, {volume}}}}}"));
        let enough = |pod: &TelegramWebhook, wanted: &TelegramWebhook| {
            given(pod).is_enough_for(&Place::wanted(wanted).unwrap())
        };
        assert!(enough(&small, &small) && enough(&large, &small) && enough(&small_kept, &kept));
        assert!(!enough(&small, &large) && !enough(&large, &kept) && !enough(&kept, &large));
    }

    #[test]
    fn a_resource_without_a_queue_wants_none_and_has_room_for_one() {
        let synchronous = declaring("mode: Synchronous");
        assert_eq!(Place::wanted(&synchronous), None);
        assert!(given(&synchronous).is_enough_for(&Place::wanted(&declaring("")).unwrap()));
    }
}
