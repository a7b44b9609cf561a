//! Applies YAML manifests as `kubectl apply --server-side` would.

use anyhow::Context as _;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{Scope, pinned_kind},
};

/// Field manager of what tests apply.
pub const FIELD_MANAGER: &str = "telegram-webhook-tests";

/// Applies every document of `yaml` in `namespace`.
pub async fn apply(client: &Client, namespace: &str, yaml: &str) -> anyhow::Result<()> {
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple(yaml)?;
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        let object: DynamicObject = serde_json::from_value(document)?;
        apply_object(client, namespace, &object).await?;
    }
    Ok(())
}

async fn apply_object(client: &Client, namespace: &str, object: &DynamicObject) -> anyhow::Result<()> {
    let types = object
        .types
        .as_ref()
        .context("a manifest needs apiVersion and kind")?;
    let gvk = GroupVersionKind::try_from(types)?;
    let (resource, capabilities) = pinned_kind(client, &gvk).await?;
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
        Scope::Cluster => Api::all_with(client.clone(), &resource),
    };
    let name = object.name_any();
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&name, &params, &Patch::Apply(object))
        .await
        .map(drop)
        .with_context(|| format!("can't apply {} {name}", types.kind))
}
