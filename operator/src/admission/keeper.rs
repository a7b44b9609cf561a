//! Keeps the admission webhook trusted: the CA in its Secret, the CA in the `caBundle` of the webhook configuration, and a
//! leaf of that CA in the server. Every replica does all of it; whoever is second finds nothing left to do.
//!
//! Looks every few seconds, by the wall clock, so that it notices an upgrade that wiped the bundle, or a night in which the
//! machine slept.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use json_patch::{AddOperation, PatchOperation, TestOperation, jsonptr::PointerBuf};
use k8s_openapi::{
    ByteString,
    api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret},
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde_json::json;
use telegram_webhook_crds::FIELD_MANAGER;
use tokio::sync::watch;

use super::certs::{self, Authority, Leaf};
use crate::kubernetes::{self, within};

/// The Secret that holds the CA.
const SECRET: &str = "telegram-webhook-operator-ca";
const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// Before the next attempt when one failed, and twice as long each further time.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Which step failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("can't {0} the CA's Secret {SECRET}")]
    Secret(&'static str, #[source] kubernetes::Error),
    #[error("can't make a certificate")]
    Certificate(#[from] certs::Error),
    #[error("there is no MutatingWebhookConfiguration {0}")]
    NoConfiguration(String),
    #[error("can't read MutatingWebhookConfiguration {0}")]
    ReadConfiguration(String, #[source] kubernetes::Error),
    #[error("can't set the caBundle of MutatingWebhookConfiguration {0}")]
    SetCaBundle(String, #[source] kubernetes::Error),
}

/// The certificate that the server shows now. Empty until there is one.
#[derive(Default)]
pub struct ServingCertificate(RwLock<Option<Arc<CertifiedKey>>>);

impl ServingCertificate {
    pub fn set(&self, leaf: &Leaf) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(leaf.certified_key());
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

// The content is a key.
impl fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServingCertificate").finish_non_exhaustive()
    }
}

/// Does the keeping.
pub struct Keeper {
    secrets: Api<Secret>,
    configurations: Api<MutatingWebhookConfiguration>,
    configuration: String,
    names: Vec<String>,
    certificate: Arc<ServingCertificate>,
    leaf: Option<Leaf>,
    ready: watch::Sender<bool>,
}

impl Keeper {
    pub fn new(
        client: &Client,
        namespace: &str,
        service: &str,
        configuration: String,
        certificate: Arc<ServingCertificate>,
        ready: watch::Sender<bool>,
    ) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), namespace),
            configurations: Api::all(client.clone()),
            configuration,
            names: vec![
                format!("{service}.{namespace}.svc"),
                format!("{service}.{namespace}.svc.cluster.local"),
            ],
            certificate,
            leaf: None,
            ready,
        }
    }

    /// Looks again and again, until dropped.
    pub async fn keep(mut self) -> Infallible {
        let mut retry = RETRY_INTERVAL;
        loop {
            let pause = match self.check(Timestamp::now()).await {
                Ok(()) => {
                    retry = RETRY_INTERVAL;
                    CHECK_INTERVAL
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "admission is not fully set up, trying again");
                    let pause = retry;
                    retry = CHECK_INTERVAL.min(retry * 2);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One look: what is missing is made, what is due is renewed.
    async fn check(&mut self, now: Timestamp) -> Result<(), Error> {
        let authority = self.authority(now).await?;
        let bundle = authority.bundle(now);
        let published = self.publish(&bundle).await;
        // not if it just can't be read: then nothing says that what was true is no longer so
        if matches!(published, Err(Error::NoConfiguration(_) | Error::SetCaBundle(..))) {
            self.ready.send_replace(false);
        }
        let changed = published?;
        let due = self.leaf.as_ref().is_none_or(|leaf| leaf.is_due(&authority, now));
        let trusted = self.leaf.as_ref().is_some_and(|leaf| leaf.is_trusted_by(&bundle));
        // API servers learn of a new bundle a moment after it was set: until then they know the old leaf only
        let can_wait = changed && trusted;
        if due && !can_wait {
            let leaf = authority.sign_leaf(&self.names, now)?;
            self.certificate.set(&leaf);
            tracing::info!(certificate = ?leaf, "admission serves a new certificate");
            self.leaf = Some(leaf);
        }
        self.ready.send_replace(true);
        Ok(())
    }

    /// Reads the CA; makes it if there is none or none that is usable, and renews it when it is due.
    async fn authority(&self, now: Timestamp) -> Result<Authority, Error> {
        let Some(secret) = self.read().await? else {
            tracing::info!(secret = SECRET, "making the admission CA");
            return self.write(None, Authority::generate(now)?).await;
        };
        let resource_version = secret.metadata.resource_version;
        match Authority::from_data(&secret.data.unwrap_or_default()) {
            Ok(authority) if !authority.is_due(now) => Ok(authority),
            Ok(authority) => {
                tracing::info!(secret = SECRET, "renewing the admission CA");
                self.write(resource_version, authority.renewed(now)?).await
            }
            Err(error) => {
                tracing::warn!(secret = SECRET, %error, "replacing an admission CA that can't be used");
                self.write(resource_version, Authority::generate(now)?).await
            }
        }
    }

    async fn read(&self) -> Result<Option<Secret>, Error> {
        let secret = within(self.secrets.get_opt(SECRET)).await;
        secret.map_err(|error| Error::Secret("read", error))
    }

    /// Writes the CA over the version that was read. If another replica was faster, its CA holds.
    async fn write(
        &self,
        resource_version: Option<String>,
        authority: Authority,
    ) -> Result<Authority, Error> {
        let secret = secret(&authority, resource_version);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let written = if secret.metadata.resource_version.is_some() {
            within(self.secrets.replace(SECRET, &params, &secret)).await
        } else {
            within(self.secrets.create(&params, &secret)).await
        };
        match written {
            Ok(_) => Ok(authority),
            Err(error) if error.is_conflict() => {
                let theirs = self.read().await?.and_then(|secret| secret.data).unwrap_or_default();
                Ok(Authority::from_data(&theirs)?)
            }
            Err(error) => Err(Error::Secret("write", error)),
        }
    }

    /// Puts `bundle` into the webhook configuration, and says whether it was not there before.
    async fn publish(&self, bundle: &str) -> Result<bool, Error> {
        let name = &self.configuration;
        let configuration = within(self.configurations.get_opt(name))
            .await
            .map_err(|error| Error::ReadConfiguration(name.clone(), error))?
            .ok_or_else(|| Error::NoConfiguration(name.clone()))?;
        let Some(patch) = ca_bundle_patch(&configuration, bundle) else {
            return Ok(false);
        };
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within(self.configurations.patch(name, &params, &Patch::Json::<()>(patch)))
            .await
            .map_err(|error| Error::SetCaBundle(name.clone(), error))?;
        tracing::info!(configuration = name, "caBundle set");
        Ok(true)
    }
}

/// The operations that set the bundle where it differs, and touch nothing else. Each first makes sure that the webhook at
/// its place is still the one that was read.
fn ca_bundle_patch(configuration: &MutatingWebhookConfiguration, bundle: &str) -> Option<json_patch::Patch> {
    let bundle = ByteString(bundle.as_bytes().to_vec());
    let webhooks = configuration.webhooks.iter().flatten().enumerate();
    let differing = webhooks.filter(|(_, webhook)| webhook.client_config.ca_bundle.as_ref() != Some(&bundle));
    let operations: Vec<PatchOperation> = differing
        .flat_map(|(index, webhook)| {
            let path = |tail: &[&str]| {
                let index = index.to_string();
                let head = ["webhooks", index.as_str()];
                PointerBuf::from_tokens(head.iter().chain(tail).copied())
            };
            [
                PatchOperation::Test(TestOperation { path: path(&["name"]), value: json!(webhook.name) }),
                PatchOperation::Add(AddOperation {
                    path: path(&["clientConfig", "caBundle"]),
                    value: json!(bundle),
                }),
            ]
        })
        .collect();
    (!operations.is_empty()).then_some(json_patch::Patch(operations))
}

fn secret(authority: &Authority, resource_version: Option<String>) -> Secret {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.to_owned()),
            labels: Some([label("app.kubernetes.io/managed-by", FIELD_MANAGER)].into()),
            resource_version,
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        data: Some(authority.to_data()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests;
