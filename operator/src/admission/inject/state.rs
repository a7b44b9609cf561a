//! Where the sidecar keeps what has to survive: on a volume of ours, which ends with the pod, or on one that the pod has. Queues of
//! several resources are in one place, since a sidecar has one folder for all.

use serde_json::{Value, json};
use telegram_webhook_crds::{SIDECAR_CONTAINER, TelegramWebhook, VolumeSpec};
use telegram_webhook_sidecar_config::STATE_DIR;

use super::{
    denial::Denial,
    pod::{PodSpec, Volume},
    sidecar,
};
use crate::place::Injected;

/// What the sidecar writes down: it lives as long as the pod, whatever becomes of the container.
pub const STATE_VOLUME: &str = "telegram-webhook-sidecar-state";

/// Mebibytes for the state of one resource beside its queue: it has 10 at most, when the sidecar remembers all that it may and writes
/// a new file. A pod that exceeds the limit is evicted.
const STATE_SIZE: u64 = 16;
/// What even a pod of one resource gets.
const MIN_STATE_SIZE: u64 = 64;

/// The volume of the pod that its queues shall be on, if one is named.
pub fn volume(matching: &[&TelegramWebhook], spec: &PodSpec) -> Result<Option<VolumeSpec>, Denial> {
    let queues = matching
        .iter()
        .filter_map(|webhook| Some((sidecar::name(webhook), webhook.spec.delivery.embedded()?.volume)));
    let queues: Vec<_> = queues.collect();
    let Some((first, volume)) = queues.first() else {
        return Ok(None);
    };
    if let Some((second, _)) = queues.iter().find(|(_, other)| other != volume) {
        return Err(Denial::AmbiguousVolume { first: (*first).to_owned(), second: (*second).to_owned() });
    }
    if let Some(wanted) = volume {
        let (webhook, name) = ((*first).to_owned(), wanted.name.clone());
        match spec.volumes.iter().flatten().find(|volume| volume.name == wanted.name) {
            None => return Err(Denial::NoVolume { webhook, name }),
            Some(volume) if !is_writable(volume) => return Err(Denial::ReadOnlyVolume { webhook, name }),
            Some(_) => {}
        }
    }
    Ok(volume.clone())
}

fn is_writable(volume: &Volume) -> bool {
    let Volume { name: _, config_map, secret, projected, downward_api, persistent_volume_claim } = volume;
    let claim = persistent_volume_claim.as_ref();
    config_map.is_none()
        && secret.is_none()
        && projected.is_none()
        && downward_api.is_none()
        && claim.is_none_or(|claim| claim.read_only != Some(true))
}

/// What may go wrong with a volume that belongs to root. We don't set the group ourselves: it would be that of all volumes.
pub fn warning(injected: &Injected, spec: &PodSpec) -> Option<String> {
    let volume = injected.volume.as_ref()?;
    let group = spec.security_context.as_ref().and_then(|context| context.fs_group);
    group.is_none().then(|| {
        format!(
            "spec.securityContext.fsGroup is not set: {SIDECAR_CONTAINER} runs as user 65532 and may not be able to write to the \
             volume {}",
            volume.name
        )
    })
}

/// How the sidecar's container mounts it.
pub fn mount(injected: &Injected) -> Value {
    match &injected.volume {
        Some(VolumeSpec { name, sub_path }) => {
            json!({"name": name, "mountPath": STATE_DIR, "subPath": sub_path})
        }
        None => json!({"name": STATE_VOLUME, "mountPath": STATE_DIR}),
    }
}

/// The volume, if it is ours.
pub fn own_volume(injected: &Injected) -> Option<Value> {
    // the kubelet lets everybody write there, and no other container mounts it
    let size = format!("{}Mi", own_mebibytes(injected)?);
    Some(json!({"name": STATE_VOLUME, "emptyDir": {"sizeLimit": size}}))
}

/// Its size.
pub fn own_mebibytes(injected: &Injected) -> Option<u64> {
    let Injected { webhooks, queue_mebibytes, volume, version: _ } = injected;
    let beside = MIN_STATE_SIZE.max(STATE_SIZE * webhooks.len() as u64);
    volume.is_none().then(|| beside + queue_mebibytes.values().sum::<u64>())
}
