//! A pod that asks for the sidecar gets it, or is not let in.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::world::scenario;

fn pod(name: &str, labels: &serde_json::Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "localhost/none:1"}]},
    }))
    .unwrap()
}

#[test]
fn a_labelled_pod_without_a_resource_is_denied() {
    scenario("admission", |scenario| async move {
        let pods = scenario.api::<Pod>();
        let lonely = pod("lonely", &json!({"app": "nobody", "telegram-webhook.dev/inject": "true"}));
        let error = pods.create(&PostParams::default(), &lonely).await.unwrap_err().to_string();
        assert!(error.contains("TelegramWebhook") && error.contains("selector"), "{error}");

        // made by hand: the label comes after the injector has had its chance
        let plain = pod("by-hand", &json!({"app": "crm"}));
        pods.create(&PostParams::default(), &plain).await?;
        let label = Patch::Merge(json!({"metadata": {"labels": {"telegram-webhook.dev/inject": "true"}}}));
        let error = pods.patch("by-hand", &PatchParams::default(), &label).await.unwrap_err().to_string();
        assert!(error.contains("telegram-webhook-sidecar"), "{error}");
        Ok(scenario)
    });
}
