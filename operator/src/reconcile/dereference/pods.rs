//! The selected pods, and what their sidecars say that they use.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use telegram_webhook_crds::{ADMIN_PORT, INJECT_LABEL, SIDECAR_CONFIG_VOLUME, TelegramWebhook};
use telegram_webhook_sidecar_config::{LoadedConfig, LoadedWebhook};

use crate::{
    http::read_at_most,
    kubernetes::{self, within},
    place::{INJECTED_ANNOTATION, Injected, Place},
    pods::{has_sidecar, is_of_fallback, is_ready, is_running},
    reconcile::Context,
};

/// The sidecar answers from memory.
const SIDECAR_TIMEOUT: Duration = Duration::from_secs(2);
const SIDECARS_AT_ONCE: usize = 16;
/// A sidecar's `/config` is a few hundred bytes per webhook.
const MAX_LOADED_CONFIG: usize = 1 << 20;

/// A selected pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSeen {
    /// Whether it is one of a fallback, and none of the CRM.
    pub of_fallback: bool,
    /// Whether the kubelet calls it ready.
    pub ready: bool,
    /// Our container, if the pod has it.
    pub sidecar: Option<Sidecar>,
}

/// The sidecar of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sidecar {
    /// Names of the Secrets that it reads: those of the resources that selected the pod when it was created.
    pub secrets: BTreeSet<String>,
    /// Where it may keep this webhook's queue, as far as the pod tells.
    pub place: Option<Place>,
    /// What it says that it uses for this webhook.
    pub loaded: Option<LoadedWebhook>,
}

/// Lists them, and asks each sidecar.
pub(super) async fn pods(
    context: &Context,
    webhook: &TelegramWebhook,
    namespace: &str,
) -> Result<Vec<PodSeen>, kubernetes::Error> {
    let mut labels: Vec<_> = webhook
        .spec
        .workload
        .selector
        .match_labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    labels.push(format!("{INJECT_LABEL}=true"));
    let selected = ListParams::default().labels(&labels.join(","));
    let pods = within(Api::<Pod>::namespaced(context.client.clone(), namespace).list(&selected)).await?;
    let name = format!("{namespace}/{}", webhook.name_any());
    let seen = stream::iter(pods.items.into_iter().filter(is_running))
        .map(|pod| look_at(context, pod, &name))
        .buffer_unordered(SIDECARS_AT_ONCE)
        .collect()
        .await;
    Ok(seen)
}

async fn look_at(context: &Context, pod: Pod, webhook: &str) -> PodSeen {
    let secrets = mounted(&pod);
    let place = place(&pod, webhook);
    let (ready, of_fallback) = (is_ready(&pod), is_of_fallback(&pod));
    let Some(secrets) = secrets else {
        return PodSeen { of_fallback, ready, sidecar: None };
    };
    let loaded = match pod.status.unwrap_or_default().pod_ip.and_then(|ip| ip.parse().ok()) {
        Some(ip) => match loaded(context, ip, webhook).await {
            // one lost packet must not make a webhook unready
            None if ready => loaded(context, ip, webhook).await,
            loaded => loaded,
        },
        None => None,
    };
    PodSeen { of_fallback, ready, sidecar: Some(Sidecar { secrets, place, loaded }) }
}

/// The Secrets that a pod's sidecar reads; `None` without a sidecar.
fn mounted(pod: &Pod) -> Option<BTreeSet<String>> {
    let spec = pod.spec.as_ref().filter(|_| has_sidecar(pod))?;
    let volumes = spec.volumes.iter().flatten().filter(|volume| volume.name == SIDECAR_CONFIG_VOLUME);
    let sources = volumes.filter_map(|volume| volume.projected.as_ref()?.sources.as_ref()).flatten();
    Some(sources.filter_map(|source| Some(source.secret.as_ref()?.name.clone())).collect())
}

/// What the injector wrote down.
fn place(pod: &Pod, webhook: &str) -> Option<Place> {
    let injected = Injected::read(pod.annotations().get(INJECTED_ANNOTATION)?)?;
    let (_, name) = webhook.split_once('/')?;
    Some(injected.place(name))
}

/// What a sidecar uses for `webhook`; `None` if it can't be asked or has nothing.
async fn loaded(context: &Context, ip: IpAddr, webhook: &str) -> Option<LoadedWebhook> {
    let url = format!("http://{}/config", SocketAddr::new(ip, ADMIN_PORT));
    let ask = async {
        let response = context.sidecars.get(url).send().await.ok()?.error_for_status().ok()?;
        read_at_most(response, MAX_LOADED_CONFIG).await.ok()
    };
    let body = tokio::time::timeout(SIDECAR_TIMEOUT, ask).await.ok()??;
    let config: LoadedConfig = serde_json::from_slice(&body).ok()?;
    config.webhooks.into_iter().find(|loaded| loaded.webhook == webhook)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secrets_of_a_pod_are_found_where_the_injector_puts_them() {
        let injected = include_str!("../../admission/inject/tests/injected.json");
        let mut pod: Pod = serde_json::from_str(injected).unwrap();
        let names = |names: [&str; 2]| Some(names.map(str::to_owned).into());
        assert_eq!(mounted(&pod), names(["support-telegram-webhook", "support-tls"]));
        assert_eq!(place(&pod, "crm/support"), Some(Place { volume: None, room: Some(512 << 20) }));
        pod.spec.as_mut().unwrap().init_containers = None;
        assert_eq!(mounted(&pod), None);
    }
}
