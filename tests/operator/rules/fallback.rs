//! The rules for who takes updates in while no pod of the CRM is ready.

use kube::Client;
use serde_json::{Value, json};
use telegram_webhook_crds::FallbackSpec;

use super::create;

fn with(fallback: &Value, backend: Option<Value>) -> Value {
    let mut resource = super::example();
    resource["spec"]["fallback"] = fallback.clone();
    if let Some(backend) = backend {
        resource["spec"]["delivery"] = json!({"backend": backend});
    }
    resource
}

/// What is declared in full is accepted, what is left out gets its defaults, and mistakes are refused, each with a part of its message.
pub async fn check(client: &Client) {
    let redis = json!({"redis": {"addresses": ["redis:6379"]}});
    let rabbit_mq = json!({"rabbitMq": {"addresses": ["a:1"], "credentialsSecretRef": {"name": "a"}}});
    for shared in [&redis, &rabbit_mq] {
        let created = create(client, &with(&json!({}), Some(shared.clone()))).await.unwrap();
        assert_eq!(created.spec.fallback, Some(FallbackSpec::default()));
    }
    let full = json!({"replicas": 5, "imagePullSecrets": [{"name": "registry"}]});
    let created = create(client, &with(&full, Some(redis.clone()))).await.unwrap().spec.fallback.unwrap();
    assert_eq!((created.replicas, created.image_pull_secrets[0].name.as_str()), (5, "registry"));
    assert_eq!(create(client, &super::example()).await.unwrap().spec.fallback, None);
    assert_eq!(create(client, &with(&Value::Null, None)).await.unwrap().spec.fallback, None);

    let shares = "use spec.delivery.backend.redis or rabbitMq";
    for (resource, message) in [
        (with(&json!({}), None), shares),
        (with(&json!({}), Some(json!({"embedded": {}}))), shares),
        (with(&json!({"replicas": 0}), Some(redis.clone())), "spec.fallback.replicas"),
        (with(&json!({"replicas": 6}), Some(redis.clone())), "spec.fallback.replicas"),
        (
            with(&json!({"imagePullSecrets": [{"name": ""}]}), Some(redis.clone())),
            "spec.fallback.imagePullSecrets",
        ),
        (
            with(&json!({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}), Some(redis.clone())),
            "spec.fallback.imagePullSecrets",
        ),
    ] {
        let error = create(client, &resource).await.expect_err(&format!("{resource} was accepted"));
        assert!(error.contains(message), "{resource}: {error}");
    }
}
