use kube::core::ObjectMeta;
use serde_json::{Value, from_value, json};

use super::*;
use crate::place::INJECTED_ANNOTATION;

mod fallback;
mod queue;

const IMAGE: &str = "registry.example/sidecar:1.2.3";

fn images() -> Images {
    Images { injected: IMAGE.to_owned(), mirrors: vec!["mirror.example/sidecar".to_owned()] }
}

fn webhook(name: &str, labels: &Value) -> TelegramWebhook {
    from_value(json!({
        "apiVersion": "telegram-webhook.dev/v1alpha1",
        "kind": "TelegramWebhook",
        "metadata": {"name": name, "namespace": "crm"},
        "spec": {
            "bot": {"tokenSecretRef": {"name": "bot"}},
            "workload": {"selector": {"matchLabels": labels}, "upstream": {"port": 3000}},
            "endpoint": {"host": format!("{name}.example.com"), "tls": {"secretRef": {"name": format!("{name}-tls")}}},
        },
    }))
    .unwrap()
}

fn support() -> TelegramWebhook {
    webhook("support", &json!({"app": "crm"}))
}

/// A pod as a ReplicaSet creates it.
fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "crm-7d4b9-",
            "labels": {"app": "crm", "tier": "web", "telegram-webhook.dev/inject": "true"},
        },
        "spec": {
            "terminationGracePeriodSeconds": 30,
            "containers": [{"name": "crm", "image": "crm:1", "ports": [{"name": "http", "containerPort": 3000}]}],
        },
    })
}

/// `pod()` with the value at a JSON pointer set.
fn pod_with(pointer: &str, value: Value) -> Value {
    let mut pod = pod();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match pod.pointer_mut(parent).unwrap() {
        Value::Array(items) => items.push(value),
        object => object[key] = value,
    }
    pod
}

fn parsed(pod: &Value) -> DynamicObject {
    from_value(pod.clone()).unwrap()
}

fn run(pod: &Value, webhooks: &[TelegramWebhook]) -> Result<Injection, Denial> {
    inject(&parsed(pod), "crm", webhooks, &images())
}

/// The pod after the patch.
fn injected(pod: &Value, webhooks: &[TelegramWebhook]) -> Value {
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &run(pod, webhooks).unwrap().patch).unwrap();
    patched
}

#[test]
fn a_pod_gets_the_container_the_volumes_and_the_annotations_and_keeps_the_rest() {
    let golden: Value = serde_json::from_str(include_str!("tests/injected.json")).unwrap();
    let actual = injected(&pod(), &[support()]);
    assert_eq!(actual, golden, "{}", serde_json::to_string_pretty(&actual).unwrap());
}

#[test]
fn an_injected_pod_is_left_alone() {
    for pod in [
        pod(),
        pod_with("/spec/initContainers", json!([{"name": "migrate", "image": "crm:1"}])),
        pod_with("/spec/volumes", json!([{"name": "data", "emptyDir": {}}])),
        pod_with("/metadata/annotations", json!({"a": "b"})),
    ] {
        for webhooks in [vec![support()], vec![support(), webhook("sales", &json!({"app": "crm"}))]] {
            let once = injected(&pod, &webhooks);
            assert_eq!(run(&once, &webhooks).unwrap().patch, Patch(Vec::new()));
        }
    }
}

#[test]
fn the_injected_container_reads_back_as_the_api_types_do() {
    let pod: k8s_openapi::api::core::v1::Pod = from_value(injected(&pod(), &[support()])).unwrap();
    let spec = serde_json::to_value(pod.spec.unwrap()).unwrap();
    // a misspelt field would be missing
    let injected = Injected::new(&[&support()], None);
    let surroundings = Surroundings {
        qos: Qos::Other,
        injected: &injected,
        store_only: false,
        wait_seconds: Some(15),
        stores: true,
        disk_is_limited: false,
    };
    assert_eq!(spec["initContainers"][0], sidecar::container(IMAGE, &surroundings));
    assert_eq!(spec["volumes"], json!(sidecar::volumes(&[&support()], &injected)));
}

#[test]
fn the_sidecar_comes_before_the_pods_own_init_containers() {
    let pod = pod_with("/spec/initContainers", json!([{"name": "migrate", "image": "crm:1"}]));
    let spec = &injected(&pod, &[support()])["spec"];
    assert_eq!(spec["initContainers"][0]["name"], SIDECAR_CONTAINER);
    assert_eq!(spec["initContainers"][1], json!({"name": "migrate", "image": "crm:1"}));
}

#[test]
fn volumes_annotations_and_fields_that_we_do_not_know_survive() {
    let mut pod = pod_with("/spec/volumes", json!([{"name": "data", "fromTheFuture": {"a": 1}}]));
    pod["spec"]["fromTheFuture"] = json!(true);
    pod["metadata"]["annotations"] = json!({"a/b~c": "d", DEFAULT_CONTAINER_ANNOTATION: "chosen"});
    let injected = injected(&pod, &[support()]);
    assert_eq!(injected["spec"]["volumes"][0], json!({"name": "data", "fromTheFuture": {"a": 1}}));
    assert_eq!(injected["spec"]["volumes"].as_array().unwrap().len(), 4);
    assert_eq!(injected["spec"]["fromTheFuture"], json!(true));
    assert_eq!(injected["metadata"]["annotations"]["a/b~c"], "d");
    assert_eq!(injected["metadata"]["annotations"][DEFAULT_CONTAINER_ANNOTATION], "chosen");
}

#[test]
fn of_a_differing_sidecar_only_our_parts_are_replaced() {
    let mut old = injected(&pod(), &[support()]);
    old["spec"]["initContainers"][0]["image"] = json!("evil:1");
    old["spec"]["initContainers"][0]["env"] = json!([{"name": "LD_PRELOAD", "value": "/evil.so"}]);
    old["spec"]["volumes"][0]["projected"]["sources"] = json!([]);
    old["spec"]["initContainers"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"name": "mesh", "image": "mesh:1"}));
    old["metadata"]["annotations"]["other"] = json!("kept");
    let fresh = injected(&pod(), &[support()]);
    let new = injected(&old, &[support()]);
    assert_eq!(new["spec"]["initContainers"][0], json!({"name": "mesh", "image": "mesh:1"}));
    assert_eq!(new["spec"]["initContainers"][1], fresh["spec"]["initContainers"][0]);
    assert_eq!(new["spec"]["volumes"], fresh["spec"]["volumes"]);
    assert_eq!(new["spec"]["containers"], old["spec"]["containers"]);
    assert_eq!(new["metadata"]["annotations"]["other"], "kept");
}

#[test]
fn what_admission_plugins_and_other_webhooks_decide_is_kept() {
    let mut decided = injected(&pod(), &[support()]);
    let container = &mut decided["spec"]["initContainers"][0];
    // AlwaysPullImages; a LimitRange; the API server's own default; a registry mirror
    container["imagePullPolicy"] = json!("Always");
    container["resources"] = json!({
        "requests": {"cpu": "10m", "memory": "24Mi"},
        "limits": {"cpu": "200m", "memory": "64Mi"},
    });
    container["resizePolicy"] = json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}]);
    container["image"] = json!("mirror.example/sidecar:1.2.3");
    assert_eq!(run(&decided, &[support()]).unwrap().patch, Patch(Vec::new()));

    // kept, too, where something else has to be put right
    let mut altered = decided.clone();
    altered["spec"]["initContainers"][0]["command"] = json!(["/bin/true"]);
    assert_eq!(injected(&altered, &[support()]), decided);
}

#[test]
fn what_the_sidecar_does_is_not_for_others_to_decide() {
    let fresh = injected(&pod(), &[support()]);
    for (field, value) in [
        ("args", json!(["drain"])),
        ("command", json!(["/bin/true"])),
        ("env", json!([{"name": "LD_PRELOAD", "value": "/evil.so"}])),
        ("ports", json!([])),
        ("restartPolicy", json!(null)),
        ("securityContext", json!({"privileged": true})),
        ("volumeMounts", json!([])),
    ] {
        let mut altered = fresh.clone();
        altered["spec"]["initContainers"][0][field] = value;
        assert_eq!(injected(&altered, &[support()]), fresh, "{field}");
    }
}

#[test]
fn several_resources_share_one_sidecar_sorted_by_name() {
    let webhooks = [
        webhook("sales", &json!({"app": "crm", "tier": "web"})),
        webhook("other", &json!({"app": "shop"})),
        support(),
        webhook("alerts", &json!({"tier": "web"})),
    ];
    let injection = run(&pod(), &webhooks).unwrap();
    assert_eq!(injection.webhooks, ["alerts", "sales", "support"]);
    let pod = injected(&pod(), &webhooks);
    let secrets: Vec<&str> = pod["spec"]["volumes"][0]["projected"]["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["secret"]["name"].as_str().unwrap())
        .collect();
    let expected = [
        "alerts-telegram-webhook",
        "alerts-tls",
        "sales-telegram-webhook",
        "sales-tls",
        "support-telegram-webhook",
        "support-tls",
    ];
    assert_eq!(secrets, expected);
    let annotation = pod["metadata"]["annotations"][INJECTED_ANNOTATION].as_str().unwrap();
    let annotation: Value = serde_json::from_str(annotation).unwrap();
    assert_eq!(annotation["webhooks"], json!(["alerts", "sales", "support"]));
}

#[test]
fn a_missing_secret_holds_up_a_pod_of_one_resource_only() {
    let (a, b) = (webhook("a", &json!({"app": "crm"})), webhook("b", &json!({"app": "crm"})));
    let optional = |webhooks: &[TelegramWebhook]| {
        let pod = injected(&pod(), webhooks);
        let sources = pod["spec"]["volumes"][0]["projected"]["sources"].as_array().unwrap().clone();
        sources.iter().map(|source| source["secret"]["optional"].as_bool()).collect::<Vec<_>>()
    };
    assert_eq!(optional(std::slice::from_ref(&a)), [None; 2]);
    assert_eq!(optional(&[a, b]), [Some(true); 4]);
}

#[test]
fn there_is_room_for_the_state_of_every_resource() {
    for (count, size) in [(1, "576Mi"), (4, "2112Mi"), (5, "2640Mi"), (40, "21120Mi")] {
        let webhooks: Vec<_> =
            (0..count).map(|n| webhook(&format!("w{n}"), &json!({"app": "crm"}))).collect();
        let pod = injected(&pod(), &webhooks);
        assert_eq!(pod["spec"]["volumes"][2]["emptyDir"]["sizeLimit"], size, "{count}");
    }
}

#[test]
fn the_order_in_which_resources_are_listed_changes_nothing() {
    let (a, b) = (webhook("a", &json!({"app": "crm"})), webhook("b", &json!({"app": "crm"})));
    assert_eq!(injected(&pod(), &[a.clone(), b.clone()]), injected(&pod(), &[b, a]));
}

#[test]
fn a_pod_that_nothing_selects_is_denied_with_what_to_compare() {
    let denial = run(&pod(), &[webhook("shop", &json!({"app": "shop"}))]).unwrap_err();
    assert!(matches!(denial, Denial::NoMatch { .. }));
    let message = denial.to_string();
    for part in [
        "telegram-webhook.dev/inject=true",
        "namespace crm",
        "app=crm, tier=web",
        "shop (matchLabels app=shop)",
    ] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let message = run(&pod(), &[]).unwrap_err().to_string();
    assert!(message.contains("TelegramWebhooks in the namespace: none"), "{message}");
}

#[test]
fn a_denial_stays_short_however_many_resources_there_are() {
    let webhooks: Vec<_> = (0..500).map(|n| webhook(&format!("w{n}"), &json!({"app": "shop"}))).collect();
    let message = run(&pod(), &webhooks).unwrap_err().to_string();
    assert!(message.contains("and more") && message.len() < 1500, "{message}");
}

#[test]
fn a_resource_selects_only_pods_with_all_its_labels_and_not_while_it_is_deleted() {
    let partly = webhook("a", &json!({"app": "crm", "tier": "db"}));
    let nothing = webhook("b", &json!({}));
    let mut deleted = support();
    deleted.metadata = ObjectMeta {
        deletion_timestamp: Some(from_value(json!("2026-01-01T00:00:00Z")).unwrap()),
        ..deleted.metadata
    };
    assert!(matches!(run(&pod(), &[partly, nothing, deleted]), Err(Denial::NoMatch { .. })));
}

#[test]
fn one_host_with_two_certificates_is_denied_and_with_one_it_is_not() {
    let mut a = webhook("a", &json!({"app": "crm"}));
    let mut b = webhook("b", &json!({"app": "crm"}));
    a.spec.endpoint.host = "hooks.example.com".to_owned();
    b.spec.endpoint.host = "hooks.example.com".to_owned();
    let denial = run(&pod(), &[a.clone(), b.clone()]).unwrap_err();
    assert!(
        matches!(denial, Denial::AmbiguousCertificate { first, second, .. } if first == "a" && second == "b")
    );
    b.spec.endpoint.tls = a.spec.endpoint.tls.clone();
    run(&pod(), &[a, b]).unwrap();
}

#[test]
fn pods_on_the_nodes_network_or_on_windows_are_denied() {
    assert!(matches!(
        run(&pod_with("/spec/hostNetwork", json!(true)), &[support()]),
        Err(Denial::HostNetwork)
    ));
    run(&pod_with("/spec/hostNetwork", json!(false)), &[support()]).unwrap();
    assert!(matches!(
        run(&pod_with("/spec/os", json!({"name": "windows"})), &[support()]),
        Err(Denial::Windows)
    ));
}

#[test]
fn the_sidecars_ports_belong_to_the_sidecar_alone() {
    for port in [
        json!({"containerPort": 18443}),
        json!({"containerPort": 18444, "name": "x"}),
        json!({"containerPort": 1, "name": "tg-webhook"}),
        json!({"containerPort": 2, "name": "tg-admin"}),
    ] {
        let app = pod_with("/spec/containers/0/ports/-", port.clone());
        assert!(matches!(run(&app, &[support()]), Err(Denial::Port { .. })), "{port}");
        let init = json!([{"name": "mesh", "image": "mesh:1", "ports": [port]}]);
        let init = pod_with("/spec/initContainers", init);
        assert!(matches!(run(&init, &[support()]), Err(Denial::Port { .. })), "{init}");
    }
}

#[test]
fn names_of_ours_that_are_taken_are_denied() {
    let named = pod_with("/spec/containers/-", json!({"name": SIDECAR_CONTAINER, "image": "evil:1"}));
    assert!(matches!(run(&named, &[support()]), Err(Denial::ContainerName)));
    for name in [SIDECAR_CONFIG_VOLUME, NO_TOKEN_VOLUME, STATE_VOLUME] {
        let volume = pod_with("/spec/volumes", json!([{"name": name, "emptyDir": {}}]));
        assert!(matches!(run(&volume, &[support()]), Err(Denial::VolumeName(taken)) if taken == name));
    }
}

#[test]
fn no_other_container_may_mount_the_secrets() {
    let mount = json!([{"name": SIDECAR_CONFIG_VOLUME, "mountPath": "/stolen"}]);
    let thief = pod_with("/spec/containers/0/volumeMounts", mount);
    assert!(matches!(run(&thief, &[support()]), Err(Denial::SecretsMounted(name)) if name == "crm"));
}

#[test]
fn a_short_grace_period_and_a_shared_process_namespace_are_warned_of() {
    assert_eq!(run(&pod(), &[support()]).unwrap().warnings, Vec::<String>::new());
    let short = pod_with("/spec/terminationGracePeriodSeconds", json!(29));
    assert_eq!(run(&short, &[support()]).unwrap().warnings.len(), 1);
    let shared = pod_with("/spec/shareProcessNamespace", json!(true));
    assert_eq!(run(&shared, &[support()]).unwrap().warnings.len(), 1);
}

#[test]
fn a_guaranteed_pod_stays_guaranteed() {
    let limits = json!({"cpu": "1", "memory": "1Gi"});
    for (resources, guaranteed) in [
        (json!({"limits": limits, "requests": limits}), true),
        (json!({"limits": limits}), true),
        (json!({"limits": limits, "requests": {"cpu": "500m"}}), false),
        (json!({"limits": {"memory": "1Gi"}}), false),
        (json!({}), false),
    ] {
        let pod = pod_with("/spec/containers/0/resources", resources.clone());
        let ours = injected(&pod, &[support()])["spec"]["initContainers"][0]["resources"].clone();
        let equal = ["cpu", "memory"].iter().all(|name| ours["limits"][name] == ours["requests"][name]);
        assert_eq!(equal, guaranteed, "{resources}");
    }
}

#[test]
fn a_pod_that_is_none_is_denied() {
    let broken = pod_with("/spec/containers", json!("none"));
    assert!(matches!(run(&broken, &[support()]), Err(Denial::Unreadable(_))));
}
