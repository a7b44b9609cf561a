use serde_json::{Value, json};

use super::*;

/// Answers from memory, fails, or never answers.
enum Fake {
    Webhooks(Vec<TelegramWebhook>),
    Fails,
    Hangs,
}

impl LookUp for Fake {
    type Error = &'static str;

    async fn webhooks(&self, namespace: &str) -> Result<Vec<TelegramWebhook>, &'static str> {
        assert_eq!(namespace, "crm");
        match self {
            Self::Webhooks(webhooks) => Ok(webhooks.clone()),
            Self::Fails => Err("connection refused"),
            Self::Hangs => std::future::pending().await,
        }
    }
}

fn support() -> TelegramWebhook {
    serde_json::from_value(json!({
        "apiVersion": "telegram-webhook.dev/v1alpha1",
        "kind": "TelegramWebhook",
        "metadata": {"name": "support", "namespace": "crm"},
        "spec": {
            "bot": {"tokenSecretRef": {"name": "bot"}},
            "workload": {"selector": {"matchLabels": {"app": "crm"}}, "upstream": {"port": 3000}},
            "endpoint": {"host": "hooks.example.com", "tls": {"secretRef": {"name": "hooks-tls"}}},
        },
    }))
    .unwrap()
}

/// A review as the API server sends it for a pod of a ReplicaSet: the pod has neither name nor namespace.
fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "6d8a2c1e-0000-4000-8000-000000000001",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "crm",
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": "crm-7d4b9-",
                    "creationTimestamp": null,
                    "labels": {"app": "crm", "telegram-webhook.dev/inject": "true"},
                },
                "spec": {"containers": [{"name": "crm", "image": "crm:1"}], "terminationGracePeriodSeconds": 10},
                "status": {},
            },
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
}

fn images() -> Images {
    Images { injected: "sidecar:1".to_owned(), mirrors: Vec::new() }
}

async fn answer(lookup: Fake, review: &Value) -> AdmissionResponse {
    let reviewer = Reviewer { lookup, images: images() };
    let review = reviewer.review(review.to_string().as_bytes()).await.unwrap();
    assert_eq!(review.types.api_version, "admission.k8s.io/v1");
    assert_eq!(review.types.kind, "AdmissionReview");
    let response = review.response.unwrap();
    assert_eq!(response.uid, "6d8a2c1e-0000-4000-8000-000000000001");
    response
}

#[tokio::test]
async fn a_selected_pod_is_allowed_with_a_patch_and_warnings() {
    let response = answer(Fake::Webhooks(vec![support()]), &review()).await;
    assert!(response.allowed);
    let patch: json_patch::Patch = serde_json::from_slice(response.patch.as_deref().unwrap()).unwrap();
    let mut pod = review()["request"]["object"].clone();
    json_patch::patch(&mut pod, &patch).unwrap();
    assert_eq!(pod["spec"]["initContainers"][0]["image"], "sidecar:1");
    assert_eq!(response.warnings.unwrap().len(), 1);
}

#[tokio::test]
async fn a_dry_run_gets_the_same_answer() {
    let mut dry = review();
    dry["request"]["dryRun"] = json!(true);
    let webhooks = || Fake::Webhooks(vec![support()]);
    assert_eq!(answer(webhooks(), &dry).await, answer(webhooks(), &review()).await);
}

#[tokio::test]
async fn a_pod_that_is_injected_already_gets_no_patch() {
    let first = answer(Fake::Webhooks(vec![support()]), &review()).await;
    let patch: json_patch::Patch = serde_json::from_slice(&first.patch.unwrap()).unwrap();
    let mut again = review();
    json_patch::patch(&mut again["request"]["object"], &patch).unwrap();
    let second = answer(Fake::Webhooks(vec![support()]), &again).await;
    assert!(second.allowed && second.patch.is_none());
}

#[tokio::test]
async fn a_pod_that_nothing_selects_is_forbidden() {
    let response = answer(Fake::Webhooks(Vec::new()), &review()).await;
    let Status { code, reason, message, .. } = response.result;
    assert!(!response.allowed && response.patch.is_none());
    assert_eq!((code, reason.as_str()), (403, "Forbidden"));
    assert!(message.contains("no TelegramWebhook in namespace crm selects it"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_refused_with_a_retry_hint_while_resources_can_not_be_listed() {
    for lookup in [Fake::Fails, Fake::Hangs] {
        let response = answer(lookup, &review()).await;
        assert!(!response.allowed);
        assert_eq!(response.result.code, 503);
        assert_eq!(response.result.details.unwrap().retry_after_seconds, RETRY_AFTER_SECONDS);
        assert!(response.result.message.contains("Try again"));
    }
}

#[tokio::test]
async fn what_did_not_opt_in_passes_unchanged() {
    let mut no_label = review();
    no_label["request"]["object"]["metadata"]["labels"] = json!({"app": "crm"});
    let mut other_value = review();
    other_value["request"]["object"]["metadata"]["labels"]["telegram-webhook.dev/inject"] = json!("false");
    let mut update = review();
    update["request"]["operation"] = json!("UPDATE");
    let mut other_kind = review();
    other_kind["request"]["kind"] = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    for review in [no_label, other_value, update, other_kind] {
        let response = answer(Fake::Fails, &review).await;
        assert!(response.allowed && response.patch.is_none(), "{review}");
    }
}

#[tokio::test]
async fn what_is_no_review_of_version_1_is_an_error() {
    let reviewer = Reviewer { lookup: Fake::Fails, images: images() };
    let mut old = review();
    old["apiVersion"] = json!("admission.k8s.io/v1beta1");
    let mut empty = review();
    empty["request"] = json!(null);
    assert!(matches!(reviewer.review(b"{").await, Err(Error::Malformed(_))));
    assert!(matches!(reviewer.review(old.to_string().as_bytes()).await, Err(Error::NoRequest)));
    assert!(matches!(reviewer.review(empty.to_string().as_bytes()).await, Err(Error::NoRequest)));
}
