//! A pod that asks for the sidecar gets it, or is not let in.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use telegram_webhook_tests::scenario::TELEGRAM_WEBHOOK;

use crate::world::scenario;

const INJECT: &str = "telegram-webhook.dev/inject";

/// Of no node: it is there, but nothing of it runs.
fn pod(name: &str, labels: &Value) -> Value {
    json!({
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "nodeSelector": {"telegram-webhook.dev/test": "no-node-has-this"},
            "containers": [{"name": "main", "image": "localhost/none:1"}],
        },
    })
}

async fn create(pods: &Api<Pod>, pod: &Value, dry_run: bool) -> Result<Value, String> {
    let params = PostParams { dry_run, ..PostParams::default() };
    let pod = serde_json::from_value(pod.clone()).unwrap();
    let created = pods.create(&params, &pod).await.map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(created).unwrap())
}

/// At once, as it is on no node: a pod without a running sidecar has no log to be searched at the end.
async fn delete(pods: &Api<Pod>, name: &str) {
    pods.delete(name, &DeleteParams::default().grace_period(0)).await.unwrap();
}

/// Lets a pod opt in when the injector has had its chance, so that the policy alone judges it; what it said, if it refused.
async fn opt_in(pods: &Api<Pod>, name: &str) -> Result<(), String> {
    let label = Patch::Merge(json!({"metadata": {"labels": {INJECT: "true"}}}));
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    pods.patch(name, &params, &label).await.map(drop).map_err(|error| error.to_string())
}

#[test]
fn a_pod_that_opts_in_is_injected_or_denied() {
    scenario("admission", |scenario| async move {
        let pods = scenario.api::<Pod>();
        a_pod_that_no_resource_selects_is_denied(&pods).await;
        scenario.apply(TELEGRAM_WEBHOOK).await?;
        // not kept: what the injector and the cluster make of a pod
        let selected = pod("injected", &json!({"app": "crm", INJECT: "true"}));
        let spec = create(&pods, &selected, true).await.unwrap()["spec"].clone();
        what_the_cluster_decides_is_kept_and_what_a_user_changes_is_not(&pods, &spec).await;
        a_pod_made_by_hand_has_to_be_as_an_injected_one_is(&pods, &spec).await;
        no_ephemeral_container_mounts_the_secrets(&pods, &spec).await;
        Ok(scenario)
    });
}

async fn a_pod_that_no_resource_selects_is_denied(pods: &Api<Pod>) {
    let lonely = pod("lonely", &json!({"app": "nobody", INJECT: "true"}));
    let error = create(pods, &lonely, false).await.unwrap_err();
    assert!(error.contains("TelegramWebhook") && error.contains("selector"), "{error}");
}

async fn a_pod_made_by_hand_has_to_be_as_an_injected_one_is(pods: &Api<Pod>, spec: &Value) {
    let image = spec["initContainers"][0]["image"].as_str().unwrap().to_owned();
    let (repository, _) = image.rsplit_once(':').unwrap();
    let mount = json!([{"name": "telegram-webhook-sidecar-config", "mountPath": "/stolen"}]);
    let empty = json!([{"name": "telegram-webhook-sidecar-config", "emptyDir": {}}]);
    let store_only = json!(["run", "--config-dir", "/etc/telegram-webhook-sidecar", "--store-only"]);
    let gate = json!([{"conditionType": "telegram-webhook.dev/no-crm-pod-ready"}]);
    let plain = json!({"name": "telegram-webhook-sidecar", "image": image});
    let sidecar = |field: &str| format!("/spec/initContainers/0/{field}");
    let app = |field: &str| format!("/spec/containers/0/{field}");
    let fine = None;
    let cases = [
        (sidecar("image"), json!(image), fine),
        (sidecar("image"), json!(format!("{repository}:of-another-release")), fine),
        (sidecar("image"), json!(format!("{repository}@sha256:{}", "0".repeat(64))), fine),
        (sidecar("image"), json!(format!("{repository}-2:1")), Some("must have an image from")),
        (sidecar("image"), json!(repository), Some("must have an image from")),
        ("/spec/initContainers".to_owned(), json!([]), Some("has no init container")),
        ("/spec/initContainers/0".to_owned(), plain, Some("must have restartPolicy Always")),
        (sidecar("command"), json!(["/bin/true"]), Some("no command of its own")),
        (sidecar("args"), json!(["drain"]), Some("with the arguments that are injected")),
        (sidecar("args"), store_only, Some("--store-only goes with the readiness gate")),
        ("/spec/readinessGates".to_owned(), gate, Some("--store-only goes with the readiness gate")),
        (sidecar("ports/0/containerPort"), json!(18445), Some("must declare port 18443")),
        (sidecar("volumeMounts/0/mountPath"), json!("/elsewhere"), Some("must mount the volume")),
        (sidecar("volumeMounts/0/readOnly"), json!(false), Some("must mount the volume")),
        ("/spec/volumes".to_owned(), empty, Some("must be the projected one")),
        (app("volumeMounts"), mount, Some("only telegram-webhook-sidecar may mount")),
        (app("ports"), json!([{"containerPort": 18443}]), Some("belong to telegram-webhook-sidecar")),
        (app("ports"), json!([{"name": "tg-admin", "containerPort": 1}]), Some("belong to telegram")),
        ("/spec/hostNetwork".to_owned(), json!(true), Some("a pod with hostNetwork")),
    ];
    for (pointer, value, denial) in cases {
        let what = format!("{pointer}: {value}");
        let mut pod = pod("by-hand", &json!({"app": "crm"}));
        pod["spec"] = spec.clone();
        alter(&mut pod, &pointer, value);
        let created = create(pods, &pod, false).await;
        assert!(created.is_ok(), "{what}: {created:?}");
        let result = opt_in(pods, "by-hand").await;
        let expected = match (&result, denial) {
            (Ok(()), None) => true,
            (Err(error), Some(denial)) => error.contains(denial),
            _ => false,
        };
        assert!(expected, "{what}: {result:?} instead of {denial:?}");
        delete(pods, "by-hand").await;
    }
}

/// Sets one field. A pod's volumes are needed by its mounts: a new one takes the place of the one with its name.
fn alter(pod: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match pod.pointer_mut(pointer) {
        Some(Value::Array(volumes)) if key == "volumes" => {
            volumes.retain(|volume| volume["name"] != value[0]["name"]);
            volumes.push(value[0].clone());
        }
        Some(field) => *field = value,
        None => pod.pointer_mut(parent).unwrap()[key] = value,
    }
}

async fn what_the_cluster_decides_is_kept_and_what_a_user_changes_is_not(pods: &Api<Pod>, spec: &Value) {
    let mut again = pod("injected", &json!({"app": "crm", INJECT: "true"}));
    again["spec"] = spec.clone();
    let sidecar = &mut again["spec"]["initContainers"][0];
    sidecar["imagePullPolicy"] = json!("Always");
    sidecar["resources"]["limits"]["cpu"] = json!("200m");
    let wanted = again["spec"].clone();
    again["spec"]["initContainers"][0]["env"] = json!([{"name": "LD_PRELOAD", "value": "/evil.so"}]);
    let created = create(pods, &again, true).await.unwrap();
    assert_eq!(created["spec"], wanted);
}

async fn no_ephemeral_container_mounts_the_secrets(pods: &Api<Pod>, spec: &Value) {
    // without the label: whoever may change pods could take it away first
    let mut pod = pod("debugged", &json!({"app": "crm"}));
    pod["spec"] = spec.clone();
    create(pods, &pod, false).await.unwrap();
    let debugger = |mounts: Value| {
        let container = json!({"name": "debugger", "image": "localhost/none:1", "volumeMounts": mounts});
        Patch::Strategic(json!({"spec": {"ephemeralContainers": [container]}}))
    };
    let mount = json!([{"name": "telegram-webhook-sidecar-config", "mountPath": "/stolen"}]);
    let params = PatchParams::default();
    let stolen = pods.patch_ephemeral_containers("debugged", &params, &debugger(mount)).await;
    let error = stolen.unwrap_err().to_string();
    assert!(error.contains("no ephemeral container may"), "{error}");
    pods.patch_ephemeral_containers("debugged", &params, &debugger(json!([]))).await.unwrap();
    delete(pods, "debugged").await;
}
