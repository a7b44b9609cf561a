//! Step 2, pure: the only reader of the raw spec. What the spec says and what was fetched go in; a `ValidatedWebhook` that
//! Telegram will accept comes out, or every mistake at once, each with its field and its fix. It is strict on purpose: a
//! setWebhook that Telegram refuses has already erased the webhook that worked.

use std::{collections::BTreeMap, net::Ipv4Addr};

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{Resource as _, ResourceExt as _};
use telegram_webhook_crds::{
    BOT_TOKEN_LABEL, ConditionType, DEFAULT_API_SERVER, RegistrationStatus, TelegramWebhook, child_name,
};
use telegram_webhook_sidecar_config::Upstream;

use super::{
    dereference::{Elder, Found},
    status::Reason,
    stored::Stored,
};
use crate::{
    dns::Answer,
    telegram::{Bot, BotToken},
};

mod certificate;
mod endpoint;

/// What the operator's flags say about resources.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Self-hosted Bot API servers, without a slash at the end: neither the definition nor the flag lets one through.
    pub local_api_servers: Vec<String>,
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

/// The resource can't be registered as it is. Not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<Mistake>);

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its stable name.
    pub reason: Reason,
    /// Field and fix. Never a value of a Secret.
    pub message: String,
    /// The concern that it settles; the others keep their condition, since what works goes on working.
    pub concern: Option<ConditionType>,
    /// What has to happen.
    pub outlook: Outlook,
}

/// What has to happen for a mistake to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Somebody changes something.
    Lasting,
    /// It may well heal without a change of the resource, such as a Secret that another controller is about to make.
    Passing,
    /// Something answers again. Whether there is a mistake isn't known.
    Interrupted,
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

// === impl Invalid ===

impl Invalid {
    /// Name of the first mistake, in the order of the checks.
    pub fn reason(&self) -> Reason {
        self.0.first().map_or(Reason::InternalError, |mistake| mistake.reason)
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}", mistake.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

// === impl Mistake ===

impl Mistake {
    fn lasting(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), concern: None, outlook: Outlook::Lasting }
    }

    fn passing(reason: Reason, message: impl Into<String>) -> Self {
        Self { outlook: Outlook::Passing, ..Self::lasting(reason, message) }
    }

    fn interrupted(reason: Reason, message: impl Into<String>) -> Self {
        Self { outlook: Outlook::Interrupted, ..Self::lasting(reason, message) }
    }

    fn about(self, concern: ConditionType) -> Self {
        Self { concern: Some(concern), ..self }
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

/// Collects, so that the user sees all mistakes at once.
#[derive(Default)]
struct Mistakes(Vec<Mistake>);

impl Mistakes {
    fn take<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.0.push(mistake)).ok()
    }
}

fn api_server(server: &str, settings: &Settings) -> Result<String, Mistake> {
    if settings.allows(server) {
        return Ok(server.to_owned());
    }
    Err(Mistake::lasting(
        Reason::ApiServerNotAllowed,
        format!(
            "spec.bot.apiServer: {server} is not allowed; use {DEFAULT_API_SERVER}, or start the operator with --local-api-server {server}"
        ),
    ))
}

/// The token of `spec.bot.tokenSecretRef`. The cleanup asks for it too.
pub fn token(webhook: &TelegramWebhook, secret: Option<&Secret>) -> Result<BotToken, Mistake> {
    let reference = &webhook.spec.bot.token_secret_ref;
    let (name, key) = (&reference.name, &reference.key);
    let secret = secret.ok_or_else(|| {
        Mistake::passing(
            Reason::TokenSecretNotFound,
            format!(
                "spec.bot.tokenSecretRef.name: there is no Secret {name} in this namespace; create it with the bot's token under the key {key}"
            ),
        )
        .about(ConditionType::TokenValid)
    })?;
    let lasting =
        |reason, message: String| Mistake::lasting(reason, message).about(ConditionType::TokenValid);
    if secret.labels().get(BOT_TOKEN_LABEL).map(String::as_str) != Some("true") {
        return Err(lasting(
            Reason::TokenSecretNotLabelled,
            format!(
                "spec.bot.tokenSecretRef.name: Secret {name} lacks the label {BOT_TOKEN_LABEL}=true, which allows the operator to use it; add the label"
            ),
        ));
    }
    let value = secret.data.as_ref().and_then(|data| data.get(key)).ok_or_else(|| {
        lasting(
            Reason::TokenKeyNotFound,
            format!(
                "spec.bot.tokenSecretRef.key: Secret {name} has no key {key}; add it, or name the right key"
            ),
        )
    })?;
    let malformed = || {
        lasting(
            Reason::TokenMalformed,
            format!(
                "spec.bot.tokenSecretRef: key {key} of Secret {name} is not a bot token (digits, a colon, 35 or more letters, digits, - or _); copy the token from @BotFather"
            ),
        )
    };
    // the newline that `echo` and editors leave at the end is nobody's intention
    let text = str::from_utf8(&value.0).map_err(|_| malformed())?.trim_end();
    BotToken::parse(text).map_err(|_| malformed())
}

/// A bot's id is no secret, so an older resource has the bot only if it has shown the token: the server accepted it from there,
/// or it is the very same.
fn sole_owner(webhook: &TelegramWebhook, found: &Found, own: &BotToken) -> Result<(), Mistake> {
    let has_bot = |elder: &&Elder| match elder.bot_id {
        Some(bot_id) => bot_id == own.bot_id(),
        None => token(&elder.webhook, elder.token.as_ref()).is_ok_and(|token| token.expose() == own.expose()),
    };
    let Some(Elder { webhook: elder, .. }) = found.elders.iter().find(has_bot) else {
        return Ok(());
    };
    // who may read this resource need not know what there is elsewhere
    let place = if elder.namespace() == webhook.namespace() {
        format!("TelegramWebhook {}", elder.name_any())
    } else {
        "a TelegramWebhook of another namespace".to_owned()
    };
    Err(Mistake::lasting(
        Reason::DuplicateBot,
        format!(
            "spec.bot: bot {} already belongs to {place}, which is older, and a bot has one webhook; delete one of the two, or use another bot's token",
            own.bot_id(),
        ),
    )
    .about(ConditionType::WebhookRegistered))
}

fn owner(webhook: &TelegramWebhook) -> Result<OwnerReference, Mistake> {
    webhook.controller_owner_ref(&()).ok_or_else(|| {
        // the API server gives each object a name and a uid
        Mistake::lasting(Reason::InternalError, "metadata: the resource has no name or no uid")
    })
}

/// Children are deleted some time after their resource: a new one of the same name waits for that.
fn children_are_ours(webhook: &TelegramWebhook, found: &Found) -> Result<(), Mistake> {
    let child = child_name(&webhook.name_any());
    let uid = webhook.uid();
    let is_ours = |owners: &[OwnerReference]| owners.iter().any(|owner| Some(&owner.uid) == uid.as_ref());
    let secret = found.child_secret.as_ref().map(|secret| ("Secret", secret.owner_references()));
    let service = found.child_service.as_ref().map(|service| ("Service", service.owner_references()));
    match [secret, service].into_iter().flatten().find(|(_, owners)| !is_ours(owners)) {
        None => Ok(()),
        Some((kind, _)) => Err(Mistake::passing(
            Reason::ChildNotOurs,
            format!(
                "metadata.name: {kind} {child} exists already and does not belong to this resource; delete it, or give the resource another name"
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
