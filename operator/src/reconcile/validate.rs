//! Step 2, pure: the only reader of the raw spec. What the spec says and what was fetched go in; a `ValidatedWebhook` that
//! Telegram will accept comes out, or every mistake at once, each with its field and its fix. It is strict on purpose: a
//! setWebhook that Telegram refuses has already erased the webhook that worked.

use std::{collections::BTreeMap, net::Ipv4Addr};

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{Resource as _, ResourceExt as _};
use telegram_webhook_crds::{DEFAULT_API_SERVER, RegistrationStatus, TelegramWebhook, child_name};
use telegram_webhook_sidecar_config::{ClientAddress, Filter, Hmac, Limits, SourceAddress, Upstream};

use super::{dereference::Found, status::Reason, stored::Stored};
use crate::{dns::Answer, telegram::Bot};

mod certificate;
mod delivery;
mod endpoint;
mod fallback;
mod filter;
mod hmac;
mod limits;
mod mistake;
mod source;
mod token;

pub use self::{
    delivery::ValidDelivery,
    fallback::Fallback,
    mistake::{Invalid, Mistake, Outlook},
    token::token,
};
use self::{mistake::Mistakes, token::sole_owner};

/// What the operator's flags say about resources.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Self-hosted Bot API servers, without a slash at the end: neither the definition nor the flag lets one through.
    pub local_api_servers: Vec<String>,
    /// What the pods of fallbacks run.
    pub sidecar_image: String,
}

/// A resource that can be registered. Later steps look at nothing else.
#[derive(Debug, Clone)]
pub struct ValidatedWebhook {
    /// Name of the resource.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Points from the children to the resource.
    pub owner: OwnerReference,
    /// The bot, and the server it is registered at.
    pub bot: Bot,
    /// Labels of the pods.
    pub selector: BTreeMap<String, String>,
    /// Where the CRM listens.
    pub upstream: Upstream,
    /// DNS name that Telegram connects to.
    pub host: String,
    /// Port that Telegram connects to.
    pub port: u16,
    /// Address that Telegram uses instead of resolving the host.
    pub ip_address: Option<Ipv4Addr>,
    /// Connections that Telegram may open.
    pub max_connections: u8,
    /// In front of the random segment.
    pub path_prefix: String,
    /// Where the client's address is found.
    pub client_address: ClientAddress,
    /// Which addresses are Telegram's, and what is done about others.
    pub source_address: SourceAddress,
    /// The signature that a relay adds.
    pub hmac: Option<Hmac>,
    /// Bounds on requests.
    pub limits: Limits,
    /// Which updates the CRM gets, and Telegram makes.
    pub filter: Filter,
    /// How updates reach the CRM.
    pub delivery: ValidDelivery,
    /// Who takes them in while no pod of the CRM is ready.
    pub fallback: Option<Fallback>,
    /// Name of the Secret with the certificate.
    pub tls_secret: String,
    /// Names the certificate chain, as the sidecars do; `None` if it can't be used.
    pub certificate: Option<String>,
    /// Content of our own Secret, if there is one.
    pub stored: Option<Stored>,
    /// What the status says is registered.
    pub registered: Option<RegistrationStatus>,
    /// What keeps Telegram from being told, though the children can be made.
    pub obstacles: Vec<Mistake>,
}

// === impl Settings ===

impl Settings {
    /// Whether this is a self-hosted server that the operator was told of.
    pub fn is_local(&self, server: &str) -> bool {
        self.local_api_servers.iter().any(|local| local == server)
    }

    /// Whether a token may be sent to this server.
    pub fn allows(&self, server: &str) -> bool {
        server == DEFAULT_API_SERVER || self.is_local(server)
    }
}

// === impl ValidatedWebhook ===

impl ValidatedWebhook {
    /// Whether Telegram may be told.
    pub fn check_obstacles(&self) -> Result<(), Invalid> {
        if self.obstacles.is_empty() { Ok(()) } else { Err(Invalid(self.obstacles.clone())) }
    }
}

/// Checks everything that can be known before Telegram is asked.
pub fn validate(
    webhook: &TelegramWebhook,
    found: &Found,
    settings: &Settings,
    now: Timestamp,
) -> Result<ValidatedWebhook, Invalid> {
    let spec = &webhook.spec;
    let public = &spec.endpoint;
    let local = settings.is_local(&spec.bot.api_server);
    let mut mistakes = Mistakes::default();

    let server = mistakes.take(api_server(&spec.bot.api_server, settings));
    let token = mistakes.take(token(webhook, found.token.as_ref()));
    if let Some(token) = &token {
        mistakes.take(sole_owner(webhook, found, token));
    }
    mistakes.take(endpoint::host(&public.host));
    let port = mistakes.take(endpoint::port(public.port));
    let ip_address = mistakes.take(endpoint::fixed_address(public.ip_address.as_deref(), local));
    let owner = mistakes.take(owner(webhook));
    mistakes.take(children_are_ours(webhook, found));
    let stored = mistakes.take(stored(webhook, found.child_secret.as_ref()));
    // as long as nothing works that could break, these keep only Telegram from being told
    let works = stored.iter().flatten().any(|stored| stored.accepted.is_some());
    let mut obstacles = Mistakes::default();
    let endpoint_mistakes = if works { &mut mistakes } else { &mut obstacles };
    match &found.addresses {
        // it resolved when Telegram accepted it, and that may be kept and put back
        Some(Answer::NoAnswer) if accepted_host(stored.as_ref()).as_deref() == Some(public.host.as_str()) => {
        }
        Some(answer) => {
            endpoint_mistakes.take(endpoint::resolved(&public.host, answer, local));
        }
        None => {}
    }
    let certificate = endpoint_mistakes.take(certificate::check(
        &public.tls.secret_ref.name,
        found.tls.as_ref(),
        &public.host,
        now,
    ));

    let client_address = source::client_address(&public.client_address, &mut mistakes);
    let source_address = source::source_address(&spec.verification.source_address, local, &mut mistakes);
    let banned = source::banned(&spec.limits.banned, &source_address, &client_address, &mut mistakes);
    let delivery = delivery::delivery(webhook, found, &mut mistakes);
    let fallback = fallback::fallback(webhook, found, settings, &mut mistakes);
    let limits = Limits {
        upstream_timeout_seconds: delivery.timeout_seconds,
        ..limits::limits(&spec.limits, banned, &mut mistakes)
    };
    delivery::fits(webhook, &limits, &delivery.delivery, &mut mistakes);
    let hmac = hmac::hmac(spec.verification.hmac.as_ref(), found.hmac.as_ref(), &mut mistakes);
    let filter = filter::filter(&spec.filter, &mut mistakes);

    // each of these is `None` only together with a mistake
    let (Some(server), Some(token), Some(port), Some(ip_address), Some(owner), Some(stored), []) =
        (server, token, port, ip_address, owner, stored, mistakes.0.as_slice())
    else {
        mistakes.0.append(&mut obstacles.0);
        return Err(Invalid(mistakes.0));
    };
    Ok(ValidatedWebhook {
        name: webhook.name_any(),
        namespace: webhook.namespace().unwrap_or_default(),
        owner,
        bot: Bot { server, token },
        selector: spec.workload.selector.match_labels.clone(),
        upstream: Upstream { port: spec.workload.upstream.port, path: spec.workload.upstream.path.clone() },
        host: public.host.clone(),
        port,
        ip_address,
        max_connections: public.max_connections.clamp(1, 100),
        path_prefix: public.path_prefix.clone(),
        client_address,
        source_address,
        hmac,
        limits,
        filter,
        delivery,
        fallback,
        tls_secret: public.tls.secret_ref.name.clone(),
        certificate,
        stored,
        registered: webhook.status.as_ref().and_then(|status| status.registration.clone()),
        obstacles: obstacles.0,
    })
}

/// The host that Telegram accepted last.
fn accepted_host(stored: Option<&Option<Stored>>) -> Option<String> {
    stored?.as_ref()?.accepted.as_ref()?.host()
}

fn api_server(server: &str, settings: &Settings) -> Result<String, Mistake> {
    if settings.allows(server) {
        return Ok(server.to_owned());
    }
    Err(Mistake::lasting(
        Reason::ApiServerNotAllowed,
        format!(
            "spec.bot.apiServer: {server} is not allowed; use {DEFAULT_API_SERVER}, or add it to the chart's value operator.localApiServers (the operator's --local-api-server)"
        ),
    ))
}

fn owner(webhook: &TelegramWebhook) -> Result<OwnerReference, Mistake> {
    webhook.controller_owner_ref(&()).ok_or_else(|| {
        // the API server gives each object a name and a uid
        Mistake::lasting(Reason::InternalError, "metadata: the resource has no name or no uid")
    })
}

/// Children are deleted some time after their resource: a new one of the same name waits for that.
fn children_are_ours(webhook: &TelegramWebhook, found: &Found) -> Result<(), Mistake> {
    let uid = webhook.uid();
    let is_ours = |owners: &[OwnerReference]| owners.iter().any(|owner| Some(&owner.uid) == uid.as_ref());
    let secret = found.child_secret.as_ref().map(|secret| ("Secret", secret.meta()));
    let service = found.child_service.as_ref().map(|service| ("Service", service.meta()));
    let made = found.signing.as_ref().filter(|_| webhook.spec.delivery.signing_secret_ref.is_none());
    let signing = made.map(|secret| ("Secret", secret.meta()));
    let declared = found.child_fallback.as_ref().filter(|_| webhook.spec.fallback.is_some());
    let fallback = declared.map(|deployment| ("Deployment", deployment.meta()));
    let mut children = [secret, service, signing, fallback].into_iter().flatten();
    match children.find(|(_, meta)| !is_ours(meta.owner_references.as_deref().unwrap_or_default())) {
        None => Ok(()),
        Some((kind, meta)) => Err(Mistake::passing(
            Reason::ChildNotOurs,
            format!(
                "metadata.name: {kind} {} exists already and does not belong to this resource; delete it, or give the resource another name",
                meta.name.as_deref().unwrap_or_default()
            ),
        )),
    }
}

fn stored(webhook: &TelegramWebhook, secret: Option<&Secret>) -> Result<Option<Stored>, Mistake> {
    secret.map(Stored::read).transpose().map_err(|error| {
        Mistake::lasting(
            Reason::ChildUnreadable,
            format!(
                "Secret {}: {error}; only the operator writes this Secret: restore it, or delete it to get a new secret and path",
                child_name(&webhook.name_any())
            ),
        )
    })
}

#[cfg(test)]
mod tests;
