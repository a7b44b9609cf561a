//! Decides what happens to a pod that opted in: a patch that puts the sidecar in, or a denial that says what to do. Pure
//! and idempotent: a pod that is injected already and up to date gets an empty patch.

mod denial;
mod drain;
mod images;
mod patch;
mod pod;
mod sidecar;
mod state;

use std::collections::BTreeMap;

use json_patch::Patch;
use kube::core::DynamicObject;
use serde::Deserialize as _;
use telegram_webhook_crds::{
    ADMIN_PORT, ADMIN_PORT_NAME, SIDECAR_CONFIG_VOLUME, SIDECAR_CONTAINER, TelegramWebhook, WEBHOOK_PORT,
    WEBHOOK_PORT_NAME,
};

pub use self::{denial::Denial, images::Images};
use self::{
    pod::{Container, PodSpec},
    sidecar::{DISK, NO_TOKEN_VOLUME, Qos, Surroundings},
    state::STATE_VOLUME,
};
use crate::place::Injected;

/// The container that kubectl takes when none is named; without it that would be the sidecar.
pub const DEFAULT_CONTAINER_ANNOTATION: &str = "kubectl.kubernetes.io/default-container";
/// What the sidecar needs to drain and to finish what it has begun.
const MIN_GRACE_PERIOD_SECONDS: i64 = 30;

/// What is done to a pod.
#[derive(Debug, PartialEq, Eq)]
pub struct Injection {
    /// Empty if the pod is as it has to be.
    pub patch: Patch,
    /// Names of the resources that select the pod, sorted.
    pub webhooks: Vec<String>,
    /// Shown to whoever creates the pod.
    pub warnings: Vec<String>,
}

/// Decides about `pod`, which opted in. `webhooks` are the resources of its namespace.
pub fn inject(
    pod: &DynamicObject,
    namespace: &str,
    webhooks: &[TelegramWebhook],
    images: &Images,
) -> Result<Injection, Denial> {
    let spec = PodSpec::deserialize(&pod.data["spec"]).map_err(Denial::Unreadable)?;
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let matching = matching(webhooks, &labels);
    if matching.is_empty() {
        return Err(denial::no_match(namespace, &labels, webhooks));
    }
    check_certificates(&matching)?;
    check_pod(&spec)?;
    // one of a fallback keeps no queue of its own
    let store_only = spec.is_of_fallback();
    let volume = if store_only { None } else { state::volume(&matching, &spec)? };
    let injected = Injected::new(&matching, volume);
    let wait_seconds = drain::wait_seconds(&matching, &spec).filter(|_| !store_only);
    let surroundings = Surroundings {
        qos: qos(&spec),
        injected: &injected,
        store_only,
        wait_seconds,
        stores: !store_only && matching.iter().any(|webhook| webhook.spec.delivery.embedded().is_some()),
        disk_is_limited: other_containers(&spec).any(limits_disk),
    };
    let patch = patch::patch((pod, &spec), &matching, &surroundings, images);
    let mut warnings = warnings(&spec);
    warnings.extend(state::warning(&injected, &spec));
    warnings.extend(wait_seconds.and_then(|_| drain::warning(&spec)));
    Ok(Injection { patch, webhooks: injected.webhooks, warnings })
}

/// The resources that select a pod with these labels, sorted by name. One that is being deleted selects nothing: its
/// Secret goes away with it, and a new pod would wait for that Secret for ever.
fn matching<'a>(
    webhooks: &'a [TelegramWebhook],
    labels: &BTreeMap<String, String>,
) -> Vec<&'a TelegramWebhook> {
    let selects = |webhook: &&TelegramWebhook| {
        webhook.metadata.deletion_timestamp.is_none() && webhook.spec.workload.selector.matches(labels)
    };
    let mut matching: Vec<_> = webhooks.iter().filter(selects).collect();
    matching.sort_by_key(|webhook| sidecar::name(webhook));
    matching
}

/// The sidecar chooses a certificate by host name, so one host can't have two.
fn check_certificates(matching: &[&TelegramWebhook]) -> Result<(), Denial> {
    for (index, webhook) in matching.iter().enumerate() {
        let endpoint = &webhook.spec.endpoint;
        let clash = matching.iter().take(index).find(|other| {
            other.spec.endpoint.host == endpoint.host
                && other.spec.endpoint.tls.secret_ref != endpoint.tls.secret_ref
        });
        if let Some(other) = clash {
            return Err(Denial::AmbiguousCertificate {
                host: endpoint.host.clone(),
                first: sidecar::name(other).to_owned(),
                second: sidecar::name(webhook).to_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses pods that the sidecar can't protect or can't live in.
fn check_pod(spec: &PodSpec) -> Result<(), Denial> {
    if spec.host_network == Some(true) {
        return Err(Denial::HostNetwork);
    }
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return Err(Denial::Windows);
    }
    if spec.containers.iter().any(|container| container.name == SIDECAR_CONTAINER) {
        return Err(Denial::ContainerName);
    }
    other_containers(spec).try_for_each(check_container)?;
    let injected = position(spec).is_some();
    for volume in spec.volumes.iter().flatten() {
        let ours = [SIDECAR_CONFIG_VOLUME, NO_TOKEN_VOLUME, STATE_VOLUME];
        if !injected && ours.contains(&volume.name.as_str()) {
            return Err(Denial::VolumeName(volume.name.clone()));
        }
    }
    Ok(())
}

/// Nobody but the sidecar may have its ports, which the Service leads to, or read its secrets.
fn check_container(container: &Container) -> Result<(), Denial> {
    for port in container.ports.iter().flatten() {
        let ours = [i32::from(WEBHOOK_PORT), i32::from(ADMIN_PORT)].contains(&port.container_port);
        let name = port.name.as_deref().unwrap_or_default();
        if ours || [WEBHOOK_PORT_NAME, ADMIN_PORT_NAME].contains(&name) {
            return Err(Denial::Port {
                container: container.name.clone(),
                name: name.to_owned(),
                number: port.container_port,
            });
        }
    }
    let mounts = container.volume_mounts.iter().flatten();
    match mounts.into_iter().find(|mount| mount.name == SIDECAR_CONFIG_VOLUME) {
        Some(_) => Err(Denial::SecretsMounted(container.name.clone())),
        None => Ok(()),
    }
}

fn warnings(spec: &PodSpec) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(seconds) =
        spec.termination_grace_period_seconds.filter(|&seconds| seconds < MIN_GRACE_PERIOD_SECONDS)
    {
        warnings.push(format!(
            "spec.terminationGracePeriodSeconds is {seconds}: with less than {MIN_GRACE_PERIOD_SECONDS} the Telegram \
             webhook sidecar may be killed while it drains"
        ));
    }
    if spec.share_process_namespace == Some(true) {
        warnings.push(
            "spec.shareProcessNamespace is true: containers that run as root or as user 65532 can read the Telegram \
             webhook sidecar's secrets"
                .to_owned(),
        );
    }
    warnings
}

/// Where the sidecar is among the init containers, if it is in the pod already.
fn position(spec: &PodSpec) -> Option<usize> {
    let mut containers = spec.init_containers.iter().flatten();
    containers.position(|container| container.name == SIDECAR_CONTAINER)
}

fn other_containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    let init = spec.init_containers.iter().flatten();
    spec.containers.iter().chain(init).filter(|container| container.name != SIDECAR_CONTAINER)
}

/// The class of the pod without the sidecar: guaranteed if every container's requests equal its limits.
fn qos(spec: &PodSpec) -> Qos {
    let guaranteed = |container: &Container| {
        let resources = container.resources.as_ref();
        let limits = resources.and_then(|resources| resources.limits.as_ref());
        let requests = resources.and_then(|resources| resources.requests.as_ref());
        ["cpu", "memory"].iter().all(|&name| {
            let limit = limits.and_then(|limits| limits.get(name));
            // without a request the limit is taken for one
            let request = requests.and_then(|requests| requests.get(name)).or(limit);
            limit.is_some() && request == limit
        })
    };
    if other_containers(spec).all(guaranteed) { Qos::Guaranteed } else { Qos::Other }
}

fn limits_disk(container: &Container) -> bool {
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    limits.is_some_and(|limits| limits.contains_key(DISK))
}

#[cfg(test)]
mod tests;
