//! A CRM of several replicas is replaced pod by pod, and a pod is evicted as from a node that is drained, while updates come: none is
//! lost, and none overtakes another of its chat, wherever they wait.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::api::{EvictParams, Patch, PatchParams};
use serde_json::{Value, json};
use telegram_webhook_tests::{
    ledger::Ledger,
    scenario::{PATIENCE, Scenario, TELEGRAM_WEBHOOK, WEBHOOK, broker::Broker},
    wait,
};
use tokio::time::{Instant, interval};

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
        let ledger = roll(&scenario, json!({"answerAfter": "Delivered"})).await?;
        // a pod that is killed at its deadline may have delivered what it hadn't told yet
        assert_eq!((ledger.lost, ledger.out_of_order, ledger.foreign), (0, 0, 0), "{ledger}");
        Ok(scenario)
    });
}

#[test]
fn a_rolling_update_with_redis_loses_and_repeats_nothing_and_keeps_the_order() {
    scenario("rolling-redis", |scenario| roll_with(scenario, Broker::Redis));
}

#[test]
fn a_rolling_update_with_rabbitmq_loses_and_repeats_nothing_and_keeps_the_order() {
    scenario("rolling-rabbitmq", |scenario| roll_with(scenario, Broker::RabbitMq));
}

/// Here Telegram has its answer once an update is stored, so that the order among the pods is the broker's doing.
async fn roll_with(scenario: Scenario, broker: Broker) -> anyhow::Result<Scenario> {
    let backend = scenario.start_broker(broker).await?;
    let ledger = roll(&scenario, json!({"answerAfter": "Stored", "backend": backend})).await?;
    assert!(ledger.is_clean(), "{broker:?}: {ledger}");
    Ok(scenario)
}

/// Replaces all pods of the CRM under load and evicts one of the new ones, and waits for what was sent meanwhile.
async fn roll(scenario: &Scenario, delivery: Value) -> anyhow::Result<Ledger> {
    scenario.apply(TELEGRAM_WEBHOOK).await?;
    scenario.patch_spec(WEBHOOK, json!({"delivery": delivery})).await?;
    scenario.apply(REPLICAS).await?;
    scenario.wait_for_deployment("ledger").await?;
    scenario.wait_for_deployment("crm").await?;
    scenario.wait_for_condition(WEBHOOK, "Ready", "True", None).await?;
    scenario.remember_secrets().await?;

    let mut sent = scenario.send(BATCH, CHATS).await?;
    let begun = Instant::now();
    let mut ticks = interval(PERIOD);
    let replaced = async {
        restart(scenario).await?;
        evict_one(scenario).await
    };
    tokio::pin!(replaced);
    loop {
        tokio::select! {
            result = &mut replaced => { result?; break }
            _ = ticks.tick() => sent.append(&mut scenario.send(BATCH, CHATS).await?),
        }
    }
    let seconds = begun.elapsed().as_secs();
    sent.append(&mut scenario.send(BATCH, CHATS).await?);
    let ledger = collected(scenario, &sent).await?;
    println!("{}: {ledger} in {seconds} s", scenario.namespace);
    Ok(ledger)
}

async fn restart(scenario: &Scenario) -> anyhow::Result<()> {
    let restart = json!({"spec": {"template": {"metadata": {"annotations": {"restarted": "true"}}}}});
    let deployments = scenario.api::<Deployment>();
    deployments.patch("crm", &PatchParams::default(), &Patch::Merge(restart)).await?;
    scenario.wait_for_deployment("crm").await
}

/// Evicts a pod as `kubectl drain` does, and waits until it is gone and replaced.
async fn evict_one(scenario: &Scenario) -> anyhow::Result<()> {
    let pods = scenario.api::<Pod>();
    let name = scenario.crm_pod().await?;
    pods.evict(&name, &EvictParams::default()).await.context("the eviction was refused")?;
    wait::until("the end of the evicted pod", PATIENCE, || async {
        ensure!(pods.get_opt(&name).await?.is_none(), "{name} is still there");
        Ok(Some(()))
    })
    .await?;
    scenario.wait_for_deployment("crm").await
}

/// What has become of `sent`, once all of it is there.
async fn collected(scenario: &Scenario, sent: &BTreeSet<i64>) -> anyhow::Result<Ledger> {
    wait::until("every update at the CRM's database", PATIENCE, || async {
        let ledger = Ledger::new(sent, &scenario.received_by("ledger").await?);
        ensure!(ledger.lost == 0, "{ledger}");
        Ok(Some(ledger))
    })
    .await
}
