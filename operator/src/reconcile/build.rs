//! Step 3, pure: from a validated webhook to its children and to the parameters for Telegram.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::Deployment,
        core::v1::{Secret, Service, ServicePort, ServiceSpec},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::api::ObjectMeta;
use telegram_webhook_crds::{
    FIELD_MANAGER, INJECT_LABEL, SIDECAR_CONTAINER, WEBHOOK_LABEL, WEBHOOK_PORT_NAME, child_name,
};
use telegram_webhook_sidecar_config::{CONFIG_FILE, Delivery, Slot, WebhookConfig, digest};

mod fallback;
mod signing;

use self::{fallback::fallback, signing::Signing};
use super::{
    acknowledgement::Expected,
    stored::{
        ACCEPTED_FILE, Accepted, FORMER_KEY_FILE, Material, REFUSED_FILE, SUPERSEDED_FILE, Slots, Stored,
        put, slots,
    },
    validate::ValidatedWebhook,
};
use crate::telegram::WebhookParameters;

const HTTPS: u16 = 443;
/// A former slot is served for that long after Telegram was told the new one: it goes on with deliveries that it has begun, and
/// with connections that it holds. Far more than it takes for either, and it costs nothing.
pub const OVERLAP: Duration = Duration::from_mins(10);

/// The children, and what Telegram shall be told, before anything was written.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Holds the sidecar's configuration.
    pub secret: Secret,
    /// Holds the key that deliveries are signed with, if it had to be made.
    pub signing: Option<Secret>,
    /// Leads to the sidecars.
    pub service: Service,
    /// Takes updates in while no pod of the CRM is ready, if it is declared.
    pub fallback: Option<Deployment>,
    /// What the sidecars must have.
    pub expected: Expected,
    /// What Telegram shall accept.
    pub wanted: Accepted,
}

/// Builds. `material` is used only if a slot has to be minted.
pub fn build(webhook: &ValidatedWebhook, material: Material, now: Timestamp) -> Prepared {
    let stored = webhook.stored.as_ref();
    let own = stored.filter(|stored| stored.is_for(&webhook.bot));
    let registered = webhook.registered.as_ref().map(|registered| registered.slot);
    // the Secret is written before the status
    let told = own.and_then(|own| own.accepted.as_ref()).map(|accepted| accepted.slot);
    let known = Slots {
        served: own.map(|own| own.config.slots.as_slice()).unwrap_or_default(),
        told: told.or(registered),
        settled: told.is_some() && told == registered && overlapped(webhook, now),
        // numbers go on even if the Secret was lost
        newest: stored.and_then(Stored::newest).max(registered).unwrap_or_default(),
    };
    let signing = Signing::new(webhook, &material, now);
    let slots = slots(known, &webhook.path_prefix, material);
    let wanted = wanted(webhook, &slots);
    let config = WebhookConfig {
        webhook: format!("{}/{}", webhook.namespace, webhook.name),
        bot_id: webhook.bot.token.bot_id(),
        host: webhook.host.clone(),
        slots,
        upstream: webhook.upstream.clone(),
        client_address: webhook.client_address.clone(),
        source_address: webhook.source_address.clone(),
        hmac: webhook.hmac.clone(),
        limits: webhook.limits.clone(),
        filter: webhook.filter.clone(),
        delivery: Delivery { signing_keys: signing.keys(), ..webhook.delivery.delivery.clone() },
    };
    let bytes = config.to_bytes();
    let digest = digest(&bytes);
    let superseded = own.and_then(|own| own.superseded_by(&config, &digest));
    let mut secret = secret(webhook, own, &wanted, bytes);
    if let Some(superseded) = &superseded {
        put(&mut secret, SUPERSEDED_FILE, superseded);
    }
    if let Some(former) = &signing.former {
        put(&mut secret, FORMER_KEY_FILE, former);
    }
    let expected = Expected {
        digest,
        superseded: superseded.map(|superseded| superseded.digest),
        certificate: webhook.certificate.clone(),
        secrets: [child_name(&webhook.name), webhook.tls_secret.clone()],
        place: webhook.delivery.place.clone(),
    };
    Prepared {
        secret,
        signing: signing.secret(webhook),
        service: service(webhook, own),
        fallback: fallback(webhook),
        expected,
        wanted,
    }
}

/// Whether what is registered has been so for as long as a former slot is served beside it.
fn overlapped(webhook: &ValidatedWebhook, now: Timestamp) -> bool {
    let registered = webhook.registered.as_ref().map(|registered| registered.registered_at.0);
    registered.is_some_and(|at| now.duration_since(at).as_secs() >= OVERLAP.as_secs().cast_signed())
}

/// The complete set of parameters for the current slot.
fn wanted(webhook: &ValidatedWebhook, slots: &[Slot]) -> Accepted {
    // `slots` never gives an empty list
    let (id, path, secret_token) = slots
        .first()
        .map(|slot| (slot.id, slot.path.as_str(), slot.secret_token.as_str()))
        .unwrap_or_default();
    let port = if webhook.port == HTTPS { String::new() } else { format!(":{}", webhook.port) };
    Accepted {
        api_server: webhook.bot.server.clone(),
        bot_id: webhook.bot.token.bot_id(),
        slot: id,
        parameters: WebhookParameters {
            url: format!("https://{}{port}{path}", webhook.host),
            secret_token: secret_token.to_owned(),
            max_connections: webhook.max_connections.into(),
            ip_address: webhook.ip_address.map(|address| address.to_string()),
            // empty means the same to both: what Telegram sends by default
            allowed_updates: webhook.filter.update_types.clone(),
        },
    }
}

/// What Telegram accepted last is kept, and a refusal as long as it is of what is wanted: whoever takes back what was refused, and
/// declares it again after mending the cause, isn't to wait.
fn secret(webhook: &ValidatedWebhook, own: Option<&Stored>, wanted: &Accepted, config: Vec<u8>) -> Secret {
    let mut secret = Secret {
        metadata: metadata(webhook, child_name(&webhook.name)),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([(CONFIG_FILE.to_owned(), ByteString(config))])),
        ..Secret::default()
    };
    if let Some(accepted) = own.and_then(|own| own.accepted.as_ref()) {
        put(&mut secret, ACCEPTED_FILE, accepted);
    }
    let refused = own.and_then(|own| own.refused.as_ref());
    if let Some(refused) = refused.filter(|refused| refused.is_of(wanted)) {
        put(&mut secret, REFUSED_FILE, refused);
    }
    secret
}

/// Its target is a port that only the sidecar has, so that nothing reaches a CRM without one.
/// The port that Telegram uses at present stays beside a new one until Telegram has accepted that.
fn service(webhook: &ValidatedWebhook, own: Option<&Stored>) -> Service {
    let mut selector = webhook.selector.clone();
    selector.insert(INJECT_LABEL.to_owned(), "true".to_owned());
    let mut ports = vec![port("https", webhook.port)];
    let accepted = own.and_then(|own| own.accepted.as_ref()).and_then(Accepted::port);
    ports.extend(accepted.filter(|accepted| *accepted != webhook.port).map(|it| port("https-former", it)));
    Service {
        metadata: metadata(webhook, child_name(&webhook.name)),
        spec: Some(ServiceSpec { selector: Some(selector), ports: Some(ports), ..ServiceSpec::default() }),
        ..Service::default()
    }
}

fn port(name: &str, port: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: port.into(),
        target_port: Some(IntOrString::String(WEBHOOK_PORT_NAME.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

/// Nothing of the resource's own labels is copied: GitOps tools would take the children for theirs.
fn metadata(webhook: &ValidatedWebhook, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(webhook.namespace.clone()),
        labels: Some(BTreeMap::from([
            ("app.kubernetes.io/managed-by".to_owned(), FIELD_MANAGER.to_owned()),
            ("app.kubernetes.io/name".to_owned(), SIDECAR_CONTAINER.to_owned()),
            (WEBHOOK_LABEL.to_owned(), webhook.name.clone()),
        ])),
        owner_references: Some(vec![webhook.owner.clone()]),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests;
