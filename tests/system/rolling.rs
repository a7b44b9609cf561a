//! A CRM of several replicas is replaced pod by pod while updates come: none is lost, and none overtakes another of its chat.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use telegram_webhook_tests::{
    ledger::Ledger,
    scenario::{PATIENCE, Scenario, TELEGRAM_WEBHOOK, WEBHOOK},
    wait,
};
use tokio::time::interval;

use crate::world::scenario;

/// Replicas of a CRM with one database.
const REPLICAS: &str = include_str!("../manifests/replicas.yaml");
/// Updates per batch, and how often there is one: 200 a second.
const BATCH: usize = 20;
const PERIOD: Duration = Duration::from_millis(100);
const CHATS: usize = 50;

#[test]
fn a_rolling_update_with_the_embedded_queue_loses_nothing_and_keeps_the_order() {
    scenario("rolling", |scenario| async move {
        scenario.apply(TELEGRAM_WEBHOOK).await?;
        scenario.patch_spec(WEBHOOK, json!({"delivery": {"answerAfter": "Delivered"}})).await?;
        let ledger = roll(&scenario).await?;
        // a pod that is killed at its deadline may have delivered what it hadn't told yet
        assert_eq!((ledger.lost, ledger.out_of_order, ledger.foreign), (0, 0, 0), "{ledger}");
        Ok(scenario)
    });
}

/// Replaces all pods of the CRM under load, and waits for what was sent meanwhile.
async fn roll(scenario: &Scenario) -> anyhow::Result<Ledger> {
    scenario.apply(REPLICAS).await?;
    scenario.wait_for_deployment("ledger").await?;
    scenario.wait_for_deployment("crm").await?;
    scenario.wait_for_condition(WEBHOOK, "Ready", "True", None).await?;
    scenario.remember_secrets().await?;

    let mut sent = scenario.send(BATCH, CHATS).await?;
    let restart = json!({"spec": {"template": {"metadata": {"annotations": {"restarted": "true"}}}}});
    let deployments = scenario.api::<Deployment>();
    deployments.patch("crm", &PatchParams::default(), &Patch::Merge(restart)).await?;
    let mut ticks = interval(PERIOD);
    let rolled = scenario.wait_for_deployment("crm");
    tokio::pin!(rolled);
    loop {
        tokio::select! {
            result = &mut rolled => { result?; break }
            _ = ticks.tick() => sent.append(&mut scenario.send(BATCH, CHATS).await?),
        }
    }
    sent.append(&mut scenario.send(BATCH, CHATS).await?);
    collected(scenario, &sent).await
}

/// What has become of `sent`, once all of it is there.
async fn collected(scenario: &Scenario, sent: &BTreeSet<i64>) -> anyhow::Result<Ledger> {
    wait::until("every update at the CRM's database", PATIENCE, || async {
        let ledger = Ledger::new(sent, &scenario.received_by("ledger").await?);
        anyhow::ensure!(ledger.lost == 0, "{ledger}");
        Ok(Some(ledger))
    })
    .await
}
