//! The Deployment of the fallback.

use kube::ResourceExt as _;

use super::*;
use crate::reconcile::validate::Fallback;

fn declared() -> Fallback {
    Fallback {
        replicas: 2,
        image: "registry.example/sidecar:1".into(),
        image_pull_secrets: vec![],
        certificates: BTreeMap::from([("support".into(), "hooks-tls".into())]),
    }
}

fn deployment(fallback: Fallback) -> serde_json::Value {
    let webhook = ValidatedWebhook { fallback: Some(fallback), ..valid() };
    serde_json::to_value(built(&webhook).fallback.unwrap()).unwrap()
}

#[test]
fn without_a_fallback_there_is_no_deployment() {
    assert!(built(&valid()).fallback.is_none());
}

#[test]
fn its_pods_are_selected_as_those_of_the_crm_are_and_owned_by_nobody_elses_labels() {
    let webhook = ValidatedWebhook { fallback: Some(declared()), ..valid() };
    let Prepared { service, fallback, .. } = built(&webhook);
    let fallback = fallback.unwrap();
    assert_eq!(fallback.name_any(), "support-telegram-webhook-fallback");
    assert_eq!(fallback.owner_references()[0].name, "support");
    let spec = fallback.spec.unwrap();
    let labels = spec.template.metadata.unwrap().labels.unwrap();
    let selected_by = service.spec.unwrap().selector.unwrap();
    assert!(selected_by.iter().all(|(key, value)| labels.get(key) == Some(value)), "{labels:?}");
    let own = BTreeMap::from([("telegram-webhook.dev/fallback".to_owned(), "support".to_owned())]);
    assert_eq!(spec.selector.match_labels, Some(own));
}

#[test]
fn its_pods_are_ready_only_by_the_gate_and_never_waited_for() {
    let spec = &deployment(declared())["spec"];
    assert_eq!(
        spec["template"]["spec"]["readinessGates"],
        serde_json::json!([{"conditionType": "telegram-webhook.dev/no-crm-pod-ready"}])
    );
    assert_eq!((&spec["replicas"], &spec["progressDeadlineSeconds"]), (&2.into(), &i32::MAX.into()));
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], "100%");
}

#[test]
fn its_pods_may_do_nothing_that_a_restricted_namespace_forbids() {
    let pod = &deployment(declared())["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    assert_eq!(
        (&container["image"], &container["args"]),
        (&"registry.example/sidecar:1".into(), &serde_json::json!(["stand-by"]))
    );
    let context = &container["securityContext"];
    assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert_eq!(
        (&context["allowPrivilegeEscalation"], &context["readOnlyRootFilesystem"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn another_certificates_secret_takes_new_pods_and_what_is_taken_back_is_noticed() {
    let template = |deployment: &serde_json::Value| deployment["spec"]["template"]["metadata"].clone();
    let built = |deployment: &serde_json::Value| {
        deployment["metadata"]["annotations"]["telegram-webhook.dev/built"].clone()
    };
    let first = deployment(declared());
    assert_eq!(deployment(declared()), first);
    let certificates = BTreeMap::from([("support".into(), "renamed".into())]);
    let renamed = deployment(Fallback { certificates, ..declared() });
    assert_ne!(template(&renamed), template(&first));
    let private = deployment(Fallback { image_pull_secrets: vec!["registry".into()], ..declared() });
    assert_eq!(private["spec"]["template"]["spec"]["imagePullSecrets"][0]["name"], "registry");
    assert!(built(&private) != built(&first) && built(&first).as_str().unwrap().starts_with("sha256:"));
}
