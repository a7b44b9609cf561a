//! Where a pod keeps its queue, and how it is handed over at the pod's end.

use telegram_webhook_sidecar_config::DeliveryMode;

use super::*;

/// One that wants its queue on a volume of the pod.
pub fn keeping(name: &str, volume: &str) -> TelegramWebhook {
    let mut webhook = webhook(name, &json!({"app": "crm"}));
    let backend = json!({"embedded": {"volume": {"name": volume}}});
    webhook.spec.delivery.backend = Some(from_value(backend).unwrap());
    webhook
}

fn synchronous() -> TelegramWebhook {
    let mut webhook = support();
    webhook.spec.delivery.mode = DeliveryMode::Synchronous;
    webhook
}

/// A pod of a StatefulSet.
fn pod_with_claim() -> Value {
    let mut pod = pod_with(
        "/spec/volumes",
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-crm-0"}}]),
    );
    pod["spec"]["securityContext"] = json!({"fsGroup": 1000});
    pod
}

#[test]
fn a_queue_can_be_kept_on_a_volume_of_the_pod() {
    let pod = injected(&pod_with_claim(), &[keeping("support", "data")]);
    let container = &pod["spec"]["initContainers"][0];
    assert_eq!(
        container["volumeMounts"][2],
        json!({"name": "data", "mountPath": "/var/lib/telegram-webhook-sidecar", "subPath": "telegram-webhook-sidecar"})
    );
    assert_eq!(container["resources"]["requests"]["ephemeral-storage"], Value::Null);
    let volumes: Vec<_> = pod["spec"]["volumes"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(volumes, ["data", SIDECAR_CONFIG_VOLUME, NO_TOKEN_VOLUME]);
    assert_eq!(run(&pod, &[keeping("support", "data")]).unwrap().patch, Patch(Vec::new()));
    let annotation = pod["metadata"]["annotations"][INJECTED_ANNOTATION].as_str().unwrap();
    let injected = Injected::read(annotation).unwrap();
    assert_eq!((injected.volume.unwrap().name.as_str(), injected.queue_mebibytes.len()), ("data", 0));
}

#[test]
fn a_volume_that_is_not_there_or_takes_nothing_is_denied() {
    let denial = run(&pod(), &[keeping("support", "data")]).unwrap_err();
    assert!(matches!(denial, Denial::NoVolume { .. }) && denial.to_string().contains("volumeClaimTemplates"));
    for volume in [
        json!({"configMap": {"name": "a"}}),
        json!({"secret": {"secretName": "a"}}),
        json!({"projected": {"sources": []}}),
        json!({"downwardAPI": {}}),
        json!({"persistentVolumeClaim": {"claimName": "a", "readOnly": true}}),
    ] {
        let mut pod = pod_with_claim();
        pod["spec"]["volumes"][0] = volume;
        pod["spec"]["volumes"][0]["name"] = json!("data");
        let denial = run(&pod, &[keeping("support", "data")]).unwrap_err();
        assert!(matches!(denial, Denial::ReadOnlyVolume { name, .. } if name == "data"), "{pod}");
    }
}

#[test]
fn queues_in_one_pod_are_in_one_place() {
    for other in [webhook("b", &json!({"app": "crm"})), keeping("b", "other")] {
        let denial = run(&pod_with_claim(), &[keeping("a", "data"), other]).unwrap_err();
        assert!(matches!(denial, Denial::AmbiguousVolume { first, second } if first == "a" && second == "b"));
    }
    // one without a queue doesn't mind
    let injection = run(&pod_with_claim(), &[keeping("a", "data"), synchronous(), keeping("b", "data")]);
    assert_eq!(injection.unwrap().warnings, Vec::<String>::new());
}

#[test]
fn a_volume_that_may_belong_to_root_alone_is_warned_of() {
    let mut pod = pod_with_claim();
    pod["spec"]["securityContext"] = json!({"runAsUser": 1});
    let warnings = run(&pod, &[keeping("support", "data")]).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("fsGroup"), "{warnings:?}");
}

#[test]
fn the_pods_limit_on_disk_grows_by_what_the_sidecar_takes() {
    let disk = |pod: &Value| {
        let resources = injected(pod, &[support()])["spec"]["initContainers"][0]["resources"].clone();
        ["requests", "limits"].map(|kind| resources[kind]["ephemeral-storage"].clone())
    };
    // a limit of ours alone would be that of the whole pod
    assert_eq!(disk(&pod()), [json!("576Mi"), Value::Null]);
    let limited = pod_with("/spec/containers/0/resources", json!({"limits": {"ephemeral-storage": "1Gi"}}));
    assert_eq!(disk(&limited), [json!("576Mi"), json!("626Mi")]);
}

#[test]
fn the_other_containers_wait_until_the_queue_is_handed_over() {
    let hook = json!({"httpGet": {"path": "/drained", "port": 18444, "scheme": "HTTP"}});
    let own = json!({"exec": {"command": ["sleep", "1"]}});
    let mut pod =
        pod_with("/spec/containers/-", json!({"name": "b", "image": "b:1", "lifecycle": {"postStart": own}}));
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "c", "image": "c:1", "lifecycle": {"preStop": own}}));
    pod["spec"]["terminationGracePeriodSeconds"] = json!(91);
    let injection = run(&pod, &[support()]).unwrap();
    let injected = injected(&pod, &[support()]);
    let lifecycle = |index: usize| injected["spec"]["containers"][index]["lifecycle"].clone();
    assert_eq!(lifecycle(0), json!({"preStop": hook}));
    assert_eq!(lifecycle(1), json!({"postStart": own, "preStop": hook}));
    assert_eq!(lifecycle(2), json!({"preStop": own}));
    assert!(
        injection.warnings.len() == 1 && injection.warnings[0].starts_with("containers c "),
        "{:?}",
        injection.warnings
    );
    let drain = &injected["spec"]["initContainers"][0]["lifecycle"]["preStop"]["exec"]["command"];
    assert_eq!(*drain, json!(["/telegram-webhook-sidecar", "drain", "--wait-seconds", "45"]));
    // ours are no hooks of their own
    let again = run(&injected, &[support()]).unwrap();
    assert_eq!((again.patch, again.warnings), (Patch(Vec::new()), injection.warnings));
}

#[test]
fn with_a_queue_that_pods_share_the_others_wait_and_no_disk_is_asked_for() {
    for backend in ["redis", "rabbitMq"] {
        for (consume, waits) in [("Sidecar", true), ("Queue", false)] {
            let mut webhook = support();
            let shared = json!({backend: {
                "addresses": ["broker:1"],
                "credentialsSecretRef": {"name": "broker"},
                "consume": consume,
            }});
            webhook.spec.delivery.backend = Some(from_value(shared).unwrap());
            let pod = injected(&pod(), &[webhook]);
            let lifecycle = &pod["spec"]["containers"][0]["lifecycle"];
            assert_eq!(lifecycle["preStop"]["httpGet"]["path"] == "/drained", waits, "{backend} {consume}");
            let container = &pod["spec"]["initContainers"][0];
            let drain = &container["lifecycle"]["preStop"]["exec"]["command"];
            assert_eq!(drain.as_array().unwrap().len() == 4, waits, "{drain}");
            assert_eq!(container["resources"]["requests"]["ephemeral-storage"], Value::Null);
        }
    }
}

#[test]
fn without_a_queue_nobody_waits() {
    let pod = injected(&pod(), &[synchronous()]);
    assert_eq!(pod["spec"]["containers"][0]["lifecycle"], Value::Null);
    let container = &pod["spec"]["initContainers"][0];
    assert_eq!(
        container["lifecycle"]["preStop"]["exec"]["command"],
        json!(["/telegram-webhook-sidecar", "drain"])
    );
    assert_eq!(container["resources"]["requests"]["ephemeral-storage"], Value::Null);
}
