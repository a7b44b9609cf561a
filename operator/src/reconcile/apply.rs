//! Step 4, with a client: writes the children, and only those that differ. What was built goes in, the proof that the cluster
//! has it comes out: nothing later can be done with objects that were merely planned.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::Deployment,
        core::v1::{Secret, Service},
    },
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::Serialize;
use serde_json::Value;
use telegram_webhook_crds::{FIELD_MANAGER, STATUS_FIELD_MANAGER, TelegramWebhook, TelegramWebhookStatus};
use telegram_webhook_sidecar_config::CONFIG_FILE;

use super::{
    acknowledgement::Acknowledgement,
    build::Prepared,
    dereference::Found,
    stored::{ACCEPTED_FILE, Accepted, FORMER_KEY_FILE, REFUSED_FILE, Refused, SUPERSEDED_FILE, put},
};
use crate::kubernetes::{Error, within};

/// The keys of the child Secret that we write.
const OWN_KEYS: [&str; 5] = [CONFIG_FILE, ACCEPTED_FILE, REFUSED_FILE, SUPERSEDED_FILE, FORMER_KEY_FILE];

/// The cluster has the children.
#[derive(Debug)]
pub struct Applied {
    /// The Secret.
    pub secret: AppliedSecret,
    /// What Telegram shall accept.
    pub wanted: Accepted,
}

/// The Secret, twice: what others put into it must not be claimed by a later write.
#[derive(Debug)]
pub struct AppliedSecret {
    /// As the cluster has it.
    live: Secret,
    /// As it was built.
    own: Secret,
}

/// Where it is written down that Telegram accepted a webhook.
pub trait Ledger: Send + Sync {
    /// Remembers, so that a restart neither repeats the call nor forgets what to put back.
    fn record<'a>(&'a self, accepted: &'a Accepted) -> BoxFuture<'a, Result<(), Error>>;
    /// Remembers what not to try again.
    fn refuse<'a>(&'a self, refused: &'a Refused) -> BoxFuture<'a, Result<(), Error>>;
}

/// The ledger in the child Secret.
pub struct SecretLedger<'a> {
    /// For the write.
    pub client: Client,
    /// The Secret as it was applied.
    pub secret: &'a AppliedSecret,
}

/// Writes the children that differ.
pub async fn apply(
    client: &Client,
    prepared: Prepared,
    found: &Found,
    acknowledgement: Acknowledgement,
) -> Result<Applied, Error> {
    // no `..`: a new child must not be forgotten here
    let Prepared { secret, signing, mut service, fallback, expected: _, wanted } = prepared;
    if acknowledgement != Acknowledgement::Complete {
        keep_selector(&mut service, found.child_service.as_ref());
    }
    // before any sidecar signs with it: the CRM must be able to know it
    if let Some(signing) = signing {
        create_secret(client, &signing).await?;
    }
    // the Secret first: the pods that the Service leads to need it
    let live = apply_secret(client, secret.clone(), found.child_secret.as_ref()).await?;
    apply_service(client, &service, found.child_service.as_ref()).await?;
    match (&fallback, &found.child_fallback) {
        (Some(wanted), live) => apply_fallback(client, wanted, live.as_ref()).await?,
        (None, Some(live)) if is_owned_alike(live, &secret) => remove_fallback(client, live).await?,
        (None, _) => {}
    }
    Ok(Applied { secret: AppliedSecret { live, own: secret }, wanted })
}

/// A slot must never be replaced unseen: the first write fails if somebody else was faster, each later one if the Secret
/// isn't the one that was read.
async fn apply_secret(client: &Client, mut wanted: Secret, live: Option<&Secret>) -> Result<Secret, Error> {
    let Some(live) = live else {
        return create_secret(client, &wanted).await;
    };
    let secrets = Api::<Secret>::namespaced(client.clone(), &wanted.namespace().unwrap_or_default());
    // what isn't wanted any more has to go; keys of others aren't ours to remove
    let gone = |key: &&str| key_of(live, key).is_some() && key_of(&wanted, key).is_none();
    if !OWN_KEYS.iter().any(gone) && has_all_of(live, &wanted) {
        return Ok(live.clone());
    }
    wanted.metadata.resource_version.clone_from(&live.metadata.resource_version);
    within(secrets.patch(&wanted.name_any(), &force(FIELD_MANAGER), &Patch::Apply(&wanted))).await
}

async fn create_secret(client: &Client, wanted: &Secret) -> Result<Secret, Error> {
    let secrets = Api::<Secret>::namespaced(client.clone(), &wanted.namespace().unwrap_or_default());
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    within(secrets.create(&params, wanted)).await
}

fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    service.spec.as_ref()?.selector.as_ref()
}

/// A Service that leads somewhere goes on doing so until the newly selected pods have the secrets: Telegram may be delivering.
fn keep_selector(wanted: &mut Service, live: Option<&Service>) {
    if let (Some(kept), Some(spec)) = (live.and_then(selector), wanted.spec.as_mut()) {
        spec.selector = Some(kept.clone());
    }
}

async fn apply_service(client: &Client, wanted: &Service, live: Option<&Service>) -> Result<(), Error> {
    if live.is_some_and(|live| selector(live) == selector(wanted) && has_all_of(live, wanted)) {
        return Ok(());
    }
    let services = Api::<Service>::namespaced(client.clone(), &wanted.namespace().unwrap_or_default());
    within(services.patch(&wanted.name_any(), &force(FIELD_MANAGER), &Patch::Apply(wanted))).await?;
    Ok(())
}

async fn apply_fallback(
    client: &Client,
    wanted: &Deployment,
    live: Option<&Deployment>,
) -> Result<(), Error> {
    if live.is_some_and(|live| has_all_of(live, wanted)) {
        return Ok(());
    }
    let deployments = Api::<Deployment>::namespaced(client.clone(), &wanted.namespace().unwrap_or_default());
    within(deployments.patch(&wanted.name_any(), &force(FIELD_MANAGER), &Patch::Apply(wanted))).await?;
    Ok(())
}

/// What isn't declared any more goes, and nothing that has taken its place meanwhile.
async fn remove_fallback(client: &Client, live: &Deployment) -> Result<(), Error> {
    let deployments = Api::<Deployment>::namespaced(client.clone(), &live.namespace().unwrap_or_default());
    let this_one = Preconditions { uid: live.uid(), resource_version: None };
    let params = DeleteParams { preconditions: Some(this_one), ..DeleteParams::background() };
    match within(deployments.delete(&live.name_any(), &params)).await {
        Err(error) if error.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

/// Writes the status.
pub async fn patch_status(
    client: &Client,
    webhook: &TelegramWebhook,
    status: &TelegramWebhookStatus,
) -> Result<(), Error> {
    let api = Api::<TelegramWebhook>::namespaced(client.clone(), &webhook.namespace().unwrap_or_default());
    let patch = serde_json::json!({
        "apiVersion": TelegramWebhook::api_version(&()),
        "kind": TelegramWebhook::kind(&()),
        "status": status,
    });
    within(api.patch_status(&webhook.name_any(), &force(STATUS_FIELD_MANAGER), &Patch::Apply(patch))).await?;
    Ok(())
}

// === impl SecretLedger ===

impl Ledger for SecretLedger<'_> {
    fn record<'a>(&'a self, accepted: &'a Accepted) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let AppliedSecret { live, own } = self.secret;
            let mut secret = own.clone();
            put(&mut secret, ACCEPTED_FILE, accepted);
            secret.data.get_or_insert_default().remove(REFUSED_FILE);
            apply_secret(&self.client, secret, Some(live)).await?;
            Ok(())
        })
    }

    fn refuse<'a>(&'a self, refused: &'a Refused) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let AppliedSecret { live, own } = self.secret;
            let mut secret = own.clone();
            put(&mut secret, REFUSED_FILE, refused);
            apply_secret(&self.client, secret, Some(live)).await?;
            Ok(())
        })
    }
}

/// The fields that we set are ours, whoever touched them.
fn force(manager: &str) -> PatchParams {
    PatchParams::apply(manager).force()
}

fn json<T: Serialize>(object: &T) -> Value {
    // Kubernetes objects are made for JSON; what can't be serialised equals nothing and is applied
    serde_json::to_value(object).unwrap_or_default()
}

fn key_of<'a>(secret: &'a Secret, key: &str) -> Option<&'a ByteString> {
    secret.data.as_ref()?.get(key)
}

/// Whether a child is as it has to be. Others may add to it; owners are a set, whose other members aren't ours.
fn has_all_of<K: Resource + Serialize + Clone>(live: &K, wanted: &K) -> bool {
    let owned = wanted.owner_references().iter().all(|owner| live.owner_references().contains(owner));
    let mut wanted = wanted.clone();
    wanted.meta_mut().owner_references = None;
    owned && contains(&json(live), &json(&wanted))
}

/// Whether it is a child of the same resource.
fn is_owned_alike(live: &Deployment, ours: &Secret) -> bool {
    let owners = live.owner_references();
    ours.owner_references().iter().any(|owner| owners.iter().any(|other| other.uid == owner.uid))
}

/// Whether `live` has everything of `wanted`; the API server may have added to it.
fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| live.get(key).is_some_and(|live| contains(live, wanted)))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| contains(live, wanted))
        }
        (live, wanted) => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_api_server_added_is_no_difference() {
        let live = json!({"spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 443, "nodePort": 3}]}});
        assert!(contains(&live, &json!({"spec": {"ports": [{"port": 443}]}})));
    }

    #[test]
    fn what_somebody_changed_or_removed_is_a_difference() {
        let live = json!({"spec": {"ports": [{"port": 443}]}, "labels": {"a": "1"}});
        for wanted in [
            json!({"spec": {"ports": [{"port": 80}]}}),
            json!({"spec": {"ports": []}}),
            json!({"labels": {"b": "1"}}),
        ] {
            assert!(!contains(&live, &wanted), "{wanted}");
        }
    }
}
