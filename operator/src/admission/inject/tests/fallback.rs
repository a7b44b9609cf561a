//! A pod of a fallback: the same sidecar, which stores only.

use telegram_webhook_crds::FALLBACK_GATE;

use super::{queue::keeping, *};

fn pod_of_fallback() -> Value {
    pod_with("/spec/readinessGates", json!([{"conditionType": FALLBACK_GATE}]))
}

fn args(pod: &Value, webhooks: &[TelegramWebhook]) -> Value {
    injected(pod, webhooks)["spec"]["initContainers"][0]["args"].clone()
}

#[test]
fn its_sidecar_stores_only_and_that_of_any_other_pod_delivers() {
    let run = ["run", "--config-dir", "/etc/telegram-webhook-sidecar", "--store-only"];
    assert_eq!(args(&pod_of_fallback(), &[support()]), json!(run));
    let others = pod_with("/spec/readinessGates", json!([{"conditionType": "example.com/load-balancer"}]));
    for pod in [pod(), others] {
        assert_eq!(args(&pod, &[support()]), json!(run[..3]));
    }
}

#[test]
fn it_keeps_no_queue_and_waits_for_none() {
    // of a neighbour, which the pods of the CRM have the volume for
    let injected = injected(&pod_of_fallback(), &[keeping("support", "data")]);
    let spec = &injected["spec"];
    assert_eq!(spec["containers"][0]["lifecycle"], Value::Null);
    let sidecar = &spec["initContainers"][0];
    assert_eq!(
        sidecar["lifecycle"]["preStop"]["exec"]["command"],
        json!(["/telegram-webhook-sidecar", "drain"])
    );
    assert_eq!(sidecar["resources"]["requests"]["ephemeral-storage"], Value::Null);
    let mounts: Vec<_> = sidecar["volumeMounts"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(mounts, [SIDECAR_CONFIG_VOLUME, NO_TOKEN_VOLUME, STATE_VOLUME]);
    assert_eq!(run(&injected, &[keeping("support", "data")]).unwrap().patch, Patch(Vec::new()));
}
