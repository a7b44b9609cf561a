//! A deleted resource lets go of its webhook as `deletionPolicy` says, and is never held for ever.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::api::DeleteParams;
use serde_json::json;
use telegram_webhook_crds::{FINALIZER, TelegramWebhook};
use telegram_webhook_tests::{
    scenario::{PATIENCE, Scenario, WEBHOOK},
    wait,
};

use crate::world::scenario;

/// Starts a registered webhook with this policy.
async fn registered(scenario: &Scenario, policy: &str) -> anyhow::Result<()> {
    scenario.start_crm_and_webhook().await?;
    scenario.patch_spec(WEBHOOK, json!({"deletionPolicy": policy})).await?;
    let webhook = scenario.api::<TelegramWebhook>().get(WEBHOOK).await?;
    assert_eq!(webhook.metadata.finalizers, Some(vec![FINALIZER.to_owned()]));
    Ok(())
}

/// Deletes the resource and waits until it is gone.
async fn delete(scenario: &Scenario) -> anyhow::Result<()> {
    delete_with(scenario, &DeleteParams::default()).await
}

async fn delete_with(scenario: &Scenario, params: &DeleteParams) -> anyhow::Result<()> {
    let api = scenario.api::<TelegramWebhook>();
    api.delete(WEBHOOK, params).await?;
    wait::until("the resource to be gone", PATIENCE, || async {
        Ok(api.get_opt(WEBHOOK).await?.is_none().then_some(()))
    })
    .await
}

#[test]
fn retain_leaves_the_webhook_at_telegram() {
    scenario("retain", |scenario| async move {
        registered(&scenario, "Retain").await?;
        let before = scenario.telegram().webhook().await?.url;
        delete(&scenario).await?;
        assert_eq!(scenario.telegram().webhook().await?.url, before);
        assert_eq!(scenario.calls("deleteWebhook").await?.len(), 0);
        Ok(scenario)
    });
}

#[test]
fn delete_removes_the_webhook_at_telegram() {
    scenario("delete", |scenario| async move {
        registered(&scenario, "Delete").await?;
        delete(&scenario).await?;
        assert_eq!(scenario.telegram().webhook().await?.url, "");
        let calls = scenario.calls("deleteWebhook").await?;
        assert!(calls.iter().all(|call| !call.parameters.contains_key("drop_pending_updates")));
        Ok(scenario)
    });
}

#[test]
fn a_deletion_in_the_foreground_removes_the_webhook_though_its_secret_goes_first() {
    scenario("foreground", |scenario| async move {
        registered(&scenario, "Delete").await?;
        delete_with(&scenario, &DeleteParams::foreground()).await?;
        assert_eq!(scenario.telegram().webhook().await?.url, "");
        Ok(scenario)
    });
}

#[test]
fn an_unreachable_telegram_does_not_hold_a_deleted_resource() {
    scenario("unreachable", |scenario| async move {
        registered(&scenario, "Delete").await?;
        scenario.api::<Deployment>().delete("telegram", &DeleteParams::foreground()).await?;
        delete(&scenario).await?;
        Ok(scenario)
    });
}

#[test]
fn a_missing_token_does_not_hold_a_deleted_resource() {
    scenario("tokenless", |scenario| async move {
        registered(&scenario, "Delete").await?;
        scenario.api::<Secret>().delete("support-bot", &DeleteParams::default()).await?;
        delete(&scenario).await?;
        Ok(scenario)
    });
}
