//! Applies YAML documents, as `kubectl apply --server-side` does.

use anyhow::{Context as _, Result};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{Scope, pinned_kind},
};

/// Field manager of what tests apply.
pub const FIELD_MANAGER: &str = "telegram-webhook-tests";

/// Applies each document of `text` in turn; `namespace` is for namespaced objects that name none.
pub async fn apply(client: &Client, text: &str, namespace: &str) -> Result<()> {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).context("not YAML")?;
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        let object: DynamicObject =
            serde_json::from_value(document).context("a document is no Kubernetes object")?;
        let kind = object.types.as_ref().map_or("", |types| types.kind.as_str()).to_owned();
        let name = object.metadata.name.clone().unwrap_or_default();
        one(client, object, namespace).await.with_context(|| format!("{kind} {name} can't be applied"))?;
    }
    Ok(())
}

async fn one(client: &Client, object: DynamicObject, namespace: &str) -> Result<()> {
    let types = object.types.as_ref().context("it has no kind")?;
    let (resource, capabilities) = pinned_kind(client, &GroupVersionKind::try_from(types)?).await?;
    let namespace = object.metadata.namespace.as_deref().unwrap_or(namespace);
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    let name = object.metadata.name.as_deref().context("it has no name")?;
    api.patch(name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&object)).await?;
    Ok(())
}
