//! Namespaces that tests make, and remove again; nobody else's is ever deleted.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use crate::wait;

/// On each namespace that a test made.
const MADE_BY_TESTS: &str = "telegram-webhook.dev/made-by-tests";
/// Time within which a namespace must be gone.
const PATIENCE: Duration = Duration::from_secs(90);

/// Makes a namespace.
pub async fn create(client: &Client, name: &str) -> anyhow::Result<()> {
    let labels = BTreeMap::from([(MADE_BY_TESTS.to_owned(), "true".to_owned())]);
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    let created = Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await;
    created.map(drop).with_context(|| format!("can't make the namespace {name}"))
}

/// Makes a namespace unless it is there already, made by a test.
pub async fn ensure_ours(client: &Client, name: &str) -> anyhow::Result<()> {
    match Api::<Namespace>::all(client.clone()).get_opt(name).await? {
        Some(namespace) => refuse_others(&namespace),
        None => create(client, name).await,
    }
}

/// Whether the namespace exists and was made by a test.
pub async fn is_ours(client: &Client, name: &str) -> anyhow::Result<bool> {
    let namespace = Api::<Namespace>::all(client.clone()).get_opt(name).await?;
    Ok(namespace.is_some_and(|namespace| namespace.labels().contains_key(MADE_BY_TESTS)))
}

/// Deletes a namespace and all in it, without waiting; that there is none is fine.
pub async fn remove(client: &Client, name: &str) -> anyhow::Result<()> {
    let namespaces = Api::<Namespace>::all(client.clone());
    let Some(namespace) = namespaces.get_opt(name).await? else { return Ok(()) };
    refuse_others(&namespace)?;
    match namespaces.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).with_context(|| format!("can't delete the namespace {name}")),
    }
}

/// The same, and waits until it is gone.
pub async fn remove_and_wait(client: &Client, name: &str) -> anyhow::Result<()> {
    remove(client, name).await?;
    let namespaces = Api::<Namespace>::all(client.clone());
    wait::until(&format!("the end of namespace {name}"), PATIENCE, || async {
        Ok(namespaces.get_opt(name).await?.is_none().then_some(()))
    })
    .await
}

fn refuse_others(namespace: &Namespace) -> anyhow::Result<()> {
    ensure!(
        namespace.labels().contains_key(MADE_BY_TESTS),
        "the namespace {} was not made by a test and is left alone: delete or rename it to run the tests here",
        namespace.name_any()
    );
    Ok(())
}
