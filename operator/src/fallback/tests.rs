use serde_json::{Value, json};

use super::*;
use crate::fixtures::{self, cluster::FakeCluster};

const CRM: &str = "/api/v1/namespaces/crm/pods/crm-0";
const FALLBACK: &str = "/api/v1/namespaces/crm/pods/fallback-0";

fn webhook() -> TelegramWebhook {
    fixtures::webhook_with(&[("  workload:", fixtures::FALLBACK)])
}

fn crm(ready: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "crm-0", "namespace": "crm", "labels": {"app": "helpdesk", INJECT_LABEL: "true"}},
        "spec": {"containers": [], "initContainers": [{"name": "telegram-webhook-sidecar"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    })
}

/// The same with the value at a JSON pointer set.
fn crm_with(pointer: &str, value: Value) -> Value {
    let mut pod = crm("True");
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    pod.pointer_mut(parent).unwrap()[key] = value;
    pod
}

async fn cluster(crm: Option<Value>) -> FakeCluster {
    fixtures::install_crypto();
    let cluster = FakeCluster::start().await;
    cluster.put(FALLBACK, &fixtures::fallback_pod("support"));
    if let Some(crm) = crm {
        cluster.put(CRM, &crm);
    }
    cluster
}

async fn pass(cluster: &FakeCluster) -> Result<Action, Error> {
    keep(Arc::new(webhook()), Arc::new(cluster.client())).await
}

/// Status of the gate of a pod; null before it is set.
fn gate_of(cluster: &FakeCluster, path: &str) -> Value {
    let conditions = cluster.get(path).unwrap()["status"]["conditions"].clone();
    let found = conditions.as_array().unwrap().iter().find(|condition| condition["type"] == FALLBACK_GATE);
    found.map(|gate| gate["status"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn the_gate_is_open_while_no_pod_of_the_crm_is_ready_and_set_only_when_that_changes() {
    let cluster = cluster(Some(crm("True"))).await;
    for (ready, gate) in [("True", "False"), ("False", "True"), ("True", "False")] {
        cluster.put(CRM, &crm(ready));
        pass(&cluster).await.unwrap();
        assert_eq!(gate_of(&cluster, FALLBACK), gate, "{ready}");
        assert_eq!(cluster.writes(), [format!("PATCH {FALLBACK}/status")]);
        pass(&cluster).await.unwrap();
        assert!(cluster.writes().is_empty());
    }
    cluster.remove(CRM);
    pass(&cluster).await.unwrap();
    assert_eq!(gate_of(&cluster, FALLBACK), "True");
    // what the kubelet says of the pod is left alone
    let conditions = cluster.get(FALLBACK).unwrap()["status"]["conditions"].clone();
    assert_eq!(conditions[0], json!({"type": "ContainersReady", "status": "True"}));
}

#[tokio::test]
async fn only_a_running_pod_with_a_sidecar_that_the_resource_selects_is_one_of_the_crms() {
    for (what, pod) in [
        ("ending", crm_with("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z"))),
        ("ended", crm_with("/status/phase", json!("Failed"))),
        ("without a sidecar", crm_with("/spec/initContainers", json!([{"name": "migrate"}]))),
        ("another CRM's", crm_with("/metadata/labels/app", json!("other"))),
        ("another fallback's", crm_with("/spec/readinessGates", json!([{"conditionType": FALLBACK_GATE}]))),
    ] {
        let cluster = cluster(Some(pod)).await;
        pass(&cluster).await.unwrap();
        assert_eq!(gate_of(&cluster, FALLBACK), "True", "{what}");
        assert_eq!(gate_of(&cluster, CRM), Value::Null, "{what}");
    }
}

#[tokio::test]
async fn no_gate_is_touched_but_those_of_the_resources_own_fallback() {
    let cluster = cluster(None).await;
    cluster.put(FALLBACK, &fixtures::fallback_pod("sales"));
    pass(&cluster).await.unwrap();
    cluster.put(FALLBACK, &fixtures::fallback_pod("support"));
    keep(Arc::new(fixtures::webhook()), Arc::new(cluster.client())).await.unwrap();
    let mut deleted = webhook();
    deleted.metadata.deletion_timestamp = Some(Time(Timestamp::now()));
    keep(Arc::new(deleted), Arc::new(cluster.client())).await.unwrap();
    assert!(cluster.writes().is_empty());
}

#[tokio::test]
async fn a_gate_that_could_not_be_set_is_a_failure_unless_the_pod_is_gone() {
    let cluster = cluster(None).await;
    cluster.refuse(&format!("{FALLBACK}/status"), 403);
    assert!(pass(&cluster).await.is_err());
    cluster.refuse(&format!("{FALLBACK}/status"), 404);
    pass(&cluster).await.unwrap();
    pass(&cluster).await.unwrap();
    assert_eq!(gate_of(&cluster, FALLBACK), "True");
}
