//! Step 1, with a client: fetches everything that a resource points at, and judges nothing. What isn't there is `None`.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Secret, Service},
};
use kube::{Api, ResourceExt as _};
use telegram_webhook_crds::{BackendSpec, TelegramWebhook, child_name, fallback_name, signing_secret_name};

use super::Context;
use crate::{
    dns::{Answer, Resolver},
    fallback::pod_labels,
    kubernetes::{self, within},
};

mod pods;

use self::pods::pods;
pub use self::pods::{PodSeen, Sidecar};

/// What a resource points at.
#[derive(Debug, Default)]
pub struct Found {
    /// The Secret of `spec.bot.tokenSecretRef`.
    pub token: Option<Secret>,
    /// The Secret of `spec.endpoint.tls.secretRef`.
    pub tls: Option<Secret>,
    /// The Secret of `spec.verification.hmac.secretRef`, if there is such a reference.
    pub hmac: Option<Secret>,
    /// The Secret of `spec.delivery.secretTokenSecretRef`, if there is such a reference.
    pub secret_token: Option<Secret>,
    /// The Secret of `spec.delivery.signingSecretRef`, or the one that we make without such a reference.
    pub signing: Option<Secret>,
    /// The Secrets of `spec.delivery.backend`: credentials, those of the sentinels, and what encrypts connections.
    pub broker: [Option<Secret>; 3],
    /// Our own Secret.
    pub child_secret: Option<Secret>,
    /// Our own Service.
    pub child_service: Option<Service>,
    /// Our own Deployment.
    pub child_fallback: Option<Deployment>,
    /// Other resources that select the pods of this one's fallback, and the Secrets with their certificates.
    pub neighbours: BTreeMap<String, String>,
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

/// Fetches.
pub async fn dereference(context: &Context, webhook: &TelegramWebhook) -> Result<Found, kubernetes::Error> {
    let namespace = webhook.namespace().unwrap_or_default();
    let spec = &webhook.spec;
    let secrets = Api::<Secret>::namespaced(context.client.clone(), &namespace);
    let services = Api::<Service>::namespaced(context.client.clone(), &namespace);
    let child = child_name(&webhook.name_any());

    let child_service = within(services.get_opt(&child)).await?;
    let hmac = spec.verification.hmac.as_ref().map(|hmac| hmac.secret_ref.name.as_str());
    let secret_token =
        spec.delivery.secret_token_secret_ref.as_ref().map(|reference| reference.name.as_str());
    let backend = spec.delivery.backend.as_ref();
    let broker = backend.map(BackendSpec::secret_refs).unwrap_or_default();
    let broker =
        broker.map(|reference| referenced(&secrets, reference.map(|reference| reference.name.as_str())));
    let own_signing = signing_secret_name(&webhook.name_any());
    let signing = spec.delivery.signing_secret_ref.as_ref().map_or(&own_signing, |reference| &reference.name);
    let deployments = Api::<Deployment>::namespaced(context.client.clone(), &namespace);
    let fallback = fallback_name(&webhook.name_any());
    let (
        token,
        tls,
        hmac,
        secret_token,
        broker,
        signing,
        child_secret,
        child_fallback,
        elders,
        addresses,
        pods,
    ) = futures::join!(
        within(secrets.get_opt(&spec.bot.token_secret_ref.name)),
        within(secrets.get_opt(&spec.endpoint.tls.secret_ref.name)),
        referenced(&secrets, hmac),
        referenced(&secrets, secret_token),
        three(broker),
        within(secrets.get_opt(signing)),
        within(secrets.get_opt(&child)),
        within(deployments.get_opt(&fallback)),
        elders(context, webhook),
        addresses(context, webhook, child_service.is_some()),
        pods(context, webhook, &namespace),
    );
    Ok(Found {
        token: token?,
        tls: tls?,
        hmac: hmac?,
        secret_token: secret_token?,
        broker: broker?,
        signing: signing?,
        child_secret: child_secret?,
        child_service,
        child_fallback: child_fallback?,
        neighbours: neighbours(context, webhook, &namespace),
        elders: elders?,
        addresses,
        pods: pods?,
    })
}

async fn three<T>(
    [a, b, c]: [impl Future<Output = Result<T, kubernetes::Error>>; 3],
) -> Result<[T; 3], kubernetes::Error> {
    let (a, b, c) = futures::try_join!(a, b, c)?;
    Ok([a, b, c])
}

/// A Secret that not every resource names.
async fn referenced(secrets: &Api<Secret>, name: Option<&str>) -> Result<Option<Secret>, kubernetes::Error> {
    match name {
        Some(name) => within(secrets.get_opt(name)).await,
        None => Ok(None),
    }
}

fn neighbours(context: &Context, webhook: &TelegramWebhook, namespace: &str) -> BTreeMap<String, String> {
    let labels = pod_labels(&webhook.name_any(), &webhook.spec.workload.selector.match_labels);
    let others = context.store.state().into_iter().filter(|other| {
        other.namespace().as_deref() == Some(namespace)
            && other.name_any() != webhook.name_any()
            && other.metadata.deletion_timestamp.is_none()
            && other.spec.workload.selector.matches(&labels)
    });
    others.map(|other| (other.name_any(), other.spec.endpoint.tls.secret_ref.name.clone())).collect()
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
