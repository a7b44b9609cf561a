//! Step 1, with a client: fetches everything that a resource points at, and judges nothing. What isn't there is `None`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::{Api, Resource as _, ResourceExt as _, api::ListParams};
use telegram_webhook_crds::{
    ADMIN_PORT, INJECT_LABEL, SIDECAR_CONFIG_VOLUME, SIDECAR_CONTAINER, TelegramWebhook, child_name,
};
use telegram_webhook_sidecar_config::{LoadedConfig, LoadedWebhook};

use super::Context;
use crate::{
    dns::{Answer, Resolver},
    http::read_at_most,
    kubernetes::{self, within},
};

/// The sidecar answers from memory.
const SIDECAR_TIMEOUT: Duration = Duration::from_secs(2);
const SIDECARS_AT_ONCE: usize = 16;
/// A sidecar's `/config` is a few hundred bytes per webhook.
const MAX_LOADED_CONFIG: usize = 1 << 20;

/// What a resource points at.
#[derive(Debug, Default)]
pub struct Found {
    /// The Secret of `spec.bot.tokenSecretRef`.
    pub token: Option<Secret>,
    /// The Secret of `spec.endpoint.tls.secretRef`.
    pub tls: Option<Secret>,
    /// Our own Secret.
    pub child_secret: Option<Secret>,
    /// Our own Service.
    pub child_service: Option<Service>,
    /// Older resources with the same API server.
    pub elders: Vec<Elder>,
    /// Addresses of `spec.endpoint.host`; `None` if nobody has to know them yet.
    pub addresses: Option<Answer>,
    /// The selected pods that aren't ending.
    pub pods: Vec<PodSeen>,
}

/// An older resource with the same API server.
#[derive(Debug, Clone)]
pub struct Elder {
    /// The resource.
    pub webhook: Arc<TelegramWebhook>,
    /// The bot whose token the server has accepted from it.
    pub bot_id: Option<i64>,
    /// The Secret of its `spec.bot.tokenSecretRef`, if no token of it is known to have been accepted.
    pub token: Option<Secret>,
}

/// A selected pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSeen {
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
    /// What it says that it uses for this webhook.
    pub loaded: Option<LoadedWebhook>,
}

/// Fetches.
pub async fn dereference(context: &Context, webhook: &TelegramWebhook) -> Result<Found, kubernetes::Error> {
    let namespace = webhook.namespace().unwrap_or_default();
    let spec = &webhook.spec;
    let secrets = Api::<Secret>::namespaced(context.client.clone(), &namespace);
    let services = Api::<Service>::namespaced(context.client.clone(), &namespace);
    let child = child_name(&webhook.name_any());

    let child_service = within(services.get_opt(&child)).await?;
    let (token, tls, child_secret, elders, addresses, pods) = futures::join!(
        within(secrets.get_opt(&spec.bot.token_secret_ref.name)),
        within(secrets.get_opt(&spec.endpoint.tls.secret_ref.name)),
        within(secrets.get_opt(&child)),
        elders(context, webhook),
        addresses(context, webhook, child_service.is_some()),
        pods(context, webhook, &namespace),
    );
    Ok(Found {
        token: token?,
        tls: tls?,
        child_secret: child_secret?,
        child_service,
        elders: elders?,
        addresses,
        pods: pods?,
    })
}

/// Of two resources for one bot the older one has it, so only older ones matter here.
async fn elders(context: &Context, webhook: &TelegramWebhook) -> Result<Vec<Elder>, kubernetes::Error> {
    let server = &webhook.spec.bot.api_server;
    let mut elders = Vec::new();
    for other in context.store.state() {
        let is_older = seniority(&other) < seniority(webhook);
        if is_older && other.spec.bot.api_server == *server {
            elders.push(elder(context, other, server).await?);
        }
    }
    elders.sort_by_key(|elder| seniority(&elder.webhook));
    Ok(elders)
}

fn seniority(webhook: &TelegramWebhook) -> (Option<Timestamp>, Option<String>) {
    (webhook.creation_timestamp().map(|time| time.0), webhook.uid())
}

/// Each resource's own pass remembers its bot, and the status says it after a restart; only one that has come to neither costs a
/// look at its Secret.
async fn elder(
    context: &Context,
    webhook: Arc<TelegramWebhook>,
    server: &str,
) -> Result<Elder, kubernetes::Error> {
    let remembered = context.memory.of(&webhook.uid().unwrap_or_default()).accepted;
    let accepted = remembered.filter(|accepted| accepted.server == server).map(|accepted| accepted.user.id);
    let registration = webhook.status.as_ref().and_then(|status| status.registration.as_ref());
    let bot_id = accepted.or_else(|| registration.map(|registration| registration.bot_id));
    let token = if bot_id.is_none() {
        let namespace = webhook.namespace().unwrap_or_default();
        let secrets = Api::<Secret>::namespaced(context.client.clone(), &namespace);
        within(secrets.get_opt(&webhook.spec.bot.token_secret_ref.name)).await?
    } else {
        None
    };
    Ok(Elder { webhook, bot_id, token })
}

/// With a fixed address the name doesn't matter. Nor does it before our Service is there: the name may be that of the Service,
/// and a failed look-up would be remembered by the cluster's DNS.
async fn addresses(context: &Context, webhook: &TelegramWebhook, service_exists: bool) -> Option<Answer> {
    let endpoint = &webhook.spec.endpoint;
    if endpoint.ip_address.is_some() || !service_exists {
        return None;
    }
    let local = context.settings.is_local(&webhook.spec.bot.api_server);
    Some(resolve(context.resolver.as_ref(), &endpoint.host, local).await)
}

/// Telegram resolves without search domains, hence the final dot. A self-hosted server may live in this cluster and know
/// short names, so for one of those the name as written is the second try.
async fn resolve(resolver: &dyn Resolver, host: &str, local: bool) -> Answer {
    match resolver.look_up(&format!("{}.", host.trim_end_matches('.'))).await {
        answer @ Answer::Addresses(_) => answer,
        answer if !local => answer,
        first => match resolver.look_up(host).await {
            // it isn't there if neither is: silence is no proof
            Answer::NoSuchName => first,
            second => second,
        },
    }
}

async fn pods(
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

/// Neither ending nor ended.
fn is_running(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.meta().deletion_timestamp.is_none() && !matches!(phase, Some("Succeeded" | "Failed"))
}

async fn look_at(context: &Context, pod: Pod, webhook: &str) -> PodSeen {
    let secrets = mounted(&pod);
    let status = pod.status.unwrap_or_default();
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let Some(secrets) = secrets else {
        return PodSeen { ready, sidecar: None };
    };
    let loaded = match status.pod_ip.and_then(|ip| ip.parse().ok()) {
        Some(ip) => match loaded(context, ip, webhook).await {
            // one lost packet must not make a webhook unready
            None if ready => loaded(context, ip, webhook).await,
            loaded => loaded,
        },
        None => None,
    };
    PodSeen { ready, sidecar: Some(Sidecar { secrets, loaded }) }
}

/// The Secrets that a pod's sidecar reads; `None` without a sidecar.
fn mounted(pod: &Pod) -> Option<BTreeSet<String>> {
    let spec = pod.spec.as_ref()?;
    let mut containers = spec.init_containers.iter().flatten();
    containers.find(|container| container.name == SIDECAR_CONTAINER)?;
    let volumes = spec.volumes.iter().flatten().filter(|volume| volume.name == SIDECAR_CONFIG_VOLUME);
    let sources = volumes.filter_map(|volume| volume.projected.as_ref()?.sources.as_ref()).flatten();
    Some(sources.filter_map(|source| Some(source.secret.as_ref()?.name.clone())).collect())
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
        let injected = include_str!("../admission/inject/tests/injected.json");
        let mut pod: Pod = serde_json::from_str(injected).unwrap();
        let names = |names: [&str; 2]| Some(names.map(str::to_owned).into());
        assert_eq!(mounted(&pod), names(["support-telegram-webhook", "support-tls"]));
        pod.spec.as_mut().unwrap().init_containers = None;
        assert_eq!(mounted(&pod), None);
    }
}
