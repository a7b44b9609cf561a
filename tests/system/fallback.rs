//! A CRM goes away altogether and comes back while updates come: the fallback takes them in meanwhile, and the CRM gets all of them.

use std::{collections::BTreeSet, time::Duration};

use anyhow::ensure;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use telegram_webhook_tests::{
    ledger::Ledger,
    scenario::{PATIENCE, Scenario, TELEGRAM_WEBHOOK, WEBHOOK, broker::Broker},
    wait,
};
use tokio::time::{Instant, interval};

use crate::world::scenario;

/// Replicas of a CRM with one database, and a label that only those have who receive updates.
const REPLICAS: &str = include_str!("../manifests/replicas.yaml");
const LABELS: (&str, &str) = ("labels: {app: crm, ", "labels: {app: crm, receives: telegram, ");
/// The Service by which the user lets the internet in.
const INGRESS: &str = "crm-telegram";
/// Updates per batch, and how often there is one: 100 a second.
const BATCH: usize = 20;
const PERIOD: Duration = Duration::from_millis(200);
const CHATS: usize = 50;

#[test]
fn while_no_pod_of_the_crm_is_ready_the_fallback_takes_the_updates_in() {
    scenario("fallback", |scenario| async move {
        start(&scenario).await?;
        scenario.wait_for_condition(WEBHOOK, "FallbackReady", "True", Some("FallbackStandsBy")).await?;
        // it has been ready before the CRM was
        until_reached(&scenario, CRM_ALONE).await?;
        scenario.remember_secrets().await?;

        let mut sent = scenario.send(BATCH, CHATS).await?;
        while_sending(&scenario, &mut sent, go_away(&scenario)).await?;
        let taken_in = scenario.send(10 * BATCH, CHATS).await?;
        wait::until("all of them taken from Telegram", PATIENCE, || async {
            let summary = scenario.telegram().summary().await?;
            ensure!(summary.pending == 0, "{summary:?}");
            Ok(Some(()))
        })
        .await?;
        let received = scenario.received_by("ledger").await?;
        assert_eq!(Ledger::new(&taken_in, &received).delivered, 0, "nobody is there to deliver");
        sent.extend(taken_in);
        scenario.wait_for_condition(WEBHOOK, "FallbackReady", "True", Some("FallbackReceives")).await?;
        scenario.wait_for_condition(WEBHOOK, "SidecarsReady", "False", Some("NoPodsSelected")).await?;
        scenario.wait_for_condition(WEBHOOK, "DeliveryHealthy", "False", Some("CrmNotTaking")).await?;

        while_sending(&scenario, &mut sent, come_back(&scenario)).await?;
        let ledger = collected(&scenario, &sent).await?;
        let summary = scenario.telegram().summary().await?;
        println!("{ledger}; Telegram's attempts by status: {:?}", summary.statuses);
        // a CRM that is stopped with an update half done gets it once more
        assert_eq!((ledger.lost, ledger.out_of_order, ledger.foreign), (0, 0, 0), "{ledger}");
        scenario.wait_for_condition(WEBHOOK, "FallbackReady", "True", Some("FallbackStandsBy")).await?;
        scenario.wait_for_condition(WEBHOOK, "DeliveryHealthy", "True", None).await?;
        removed_with_the_field(&scenario).await?;
        Ok(scenario)
    });
}

/// The CRM with three pods, the fallback with one, and Redis that they share.
async fn start(scenario: &Scenario) -> anyhow::Result<()> {
    let backend = scenario.start_broker(Broker::Redis).await?;
    scenario.apply(TELEGRAM_WEBHOOK).await?;
    let spec = json!({
        "fallback": {},
        "delivery": {"backend": backend},
        "workload": {"selector": {"matchLabels": {"app": null, "receives": "telegram"}}},
    });
    scenario.patch_spec(WEBHOOK, spec).await?;
    let ingress: Service = serde_json::from_value(json!({
        "metadata": {"name": INGRESS},
        "spec": {
            "selector": {"receives": "telegram", "telegram-webhook.dev/inject": "true"},
            "ports": [{"name": "https", "port": 443, "targetPort": "tg-webhook"}],
        },
    }))?;
    scenario.api::<Service>().create(&PostParams::default(), &ingress).await?;
    ensure!(REPLICAS.contains(LABELS.0), "the manifest's labels have changed");
    scenario.apply(&REPLICAS.replace(LABELS.0, LABELS.1)).await?;
    scenario.wait_for_deployment("ledger").await?;
    scenario.wait_for_deployment("crm").await?;
    scenario.wait_for_condition(WEBHOOK, "Ready", "True", None).await.map(drop)
}

/// Sends updates until something has come about.
async fn while_sending(
    scenario: &Scenario,
    sent: &mut BTreeSet<i64>,
    comes_about: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut ticks = interval(PERIOD);
    tokio::pin!(comes_about);
    loop {
        tokio::select! {
            result = &mut comes_about => return result,
            _ = ticks.tick() => sent.append(&mut scenario.send(BATCH, CHATS).await?),
        }
    }
}

async fn scale(scenario: &Scenario, replicas: u32) -> anyhow::Result<()> {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    scenario.api::<Deployment>().patch("crm", &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Until the fallback alone is reached, by the user's own Service too, and the CRM's pods are gone.
async fn go_away(scenario: &Scenario) -> anyhow::Result<()> {
    scale(scenario, 0).await?;
    let begun = Instant::now();
    until_reached(scenario, FALLBACK_ALONE).await?;
    println!("{}: the fallback alone was reached after {:?}", scenario.namespace, begun.elapsed());
    wait::until("the end of the CRM's pods", PATIENCE, || async {
        let left = scenario.api::<Pod>().list(&ListParams::default().labels("app=crm")).await?.items.len();
        ensure!(left == 0, "{left} are left");
        Ok(Some(()))
    })
    .await
}

/// Until the CRM alone is reached.
async fn come_back(scenario: &Scenario) -> anyhow::Result<()> {
    scale(scenario, 3).await?;
    let begun = Instant::now();
    until_reached(scenario, CRM_ALONE).await?;
    println!("{}: the CRM alone was reached after {:?}", scenario.namespace, begun.elapsed());
    Ok(())
}

/// Whom the user's Service leads to.
#[derive(Debug, PartialEq, Eq)]
struct Endpoints {
    crm: usize,
    fallback: usize,
}

const CRM_ALONE: Endpoints = Endpoints { crm: 3, fallback: 0 };
const FALLBACK_ALONE: Endpoints = Endpoints { crm: 0, fallback: 1 };

async fn until_reached(scenario: &Scenario, wanted: Endpoints) -> anyhow::Result<()> {
    wait::until(&format!("{wanted:?}"), PATIENCE, || async {
        let endpoints = endpoints(scenario).await?;
        ensure!(endpoints == wanted, "{endpoints:?}");
        Ok(Some(()))
    })
    .await
}

async fn endpoints(scenario: &Scenario) -> anyhow::Result<Endpoints> {
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={INGRESS}"));
    let slices = scenario.api::<EndpointSlice>().list(&of_service).await?;
    let endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints);
    let ready = endpoints.filter(|endpoint| {
        endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or_default()
    });
    let names = ready.filter_map(|endpoint| endpoint.target_ref?.name);
    let (fallback, crm): (Vec<_>, Vec<_>) = names.partition(|name| name.contains("-fallback-"));
    Ok(Endpoints { crm: crm.len(), fallback: fallback.len() })
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

async fn removed_with_the_field(scenario: &Scenario) -> anyhow::Result<()> {
    scenario.patch_spec(WEBHOOK, json!({"fallback": null})).await?;
    wait::until("the end of the fallback", PATIENCE, || async {
        let deployments = scenario.api::<Deployment>().list(&ListParams::default()).await?.items;
        let pods = scenario.api::<Pod>().list(&ListParams::default()).await?.items;
        let names =
            deployments.iter().map(ResourceExt::name_any).chain(pods.iter().map(ResourceExt::name_any));
        let left: Vec<_> = names.filter(|name| name.contains("-fallback")).collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    })
    .await?;
    scenario.wait_for_condition(WEBHOOK, "Ready", "True", None).await.map(drop)
}
