//! The rules for how updates are delivered and where they wait.

use kube::Client;
use serde_json::{Value, json};
use telegram_webhook_crds::DeliverySpec;

use super::{create, request_path::with};

fn backend(value: &Value) -> Value {
    with("/spec/delivery/backend", value.clone())
}

/// One server, and more about it.
fn redis(more: Value) -> Value {
    let mut redis = more;
    redis["addresses"] = json!(["redis.crm.svc:6379"]);
    backend(&json!({"redis": redis}))
}

fn rabbit_mq(more: Value) -> Value {
    let mut rabbit_mq = more;
    rabbit_mq["addresses"] = json!(["rabbitmq.crm.svc:5672"]);
    rabbit_mq["credentialsSecretRef"] = json!({"name": "rabbitmq"});
    backend(&json!({"rabbitMq": rabbit_mq}))
}

/// What is declared in full is accepted, and what is left out gets the defaults of the types.
pub async fn accept(client: &Client) {
    let spec = create(client, &super::example()).await.unwrap().spec;
    assert_eq!(spec.delivery, DeliverySpec::default());
    let embedded =
        create(client, &backend(&json!({"embedded": {"volume": {"name": "data"}}}))).await.unwrap();
    let embedded = embedded.spec.delivery.embedded().unwrap();
    assert_eq!(
        (embedded.size.0.as_str(), &*embedded.volume.unwrap().sub_path),
        ("512Mi", "telegram-webhook-sidecar")
    );
    for resource in [
        with("/spec/delivery", json!({"mode": "Synchronous", "replyMethods": ["sendMessage"]})),
        with("/spec/delivery", json!({"mode": "Synchronous", "backend": null})),
        with(
            "/spec/delivery",
            json!({
                "answerAfter": "Delivered", "timeout": "10s", "maxAttempts": 3, "concurrency": 1,
                "secretTokenSecretRef": {"name": "crm", "key": "token"}, "signingSecretRef": {"name": "crm", "key": "key"},
                "deadLetter": {"retention": "24h"},
            }),
        ),
        backend(&json!({"embedded": {"size": "64Mi"}})),
        backend(&json!({"embedded": {"size": "64Gi", "volume": {"name": "data", "subPath": "a/b.c"}}})),
        redis(json!({"tls": {}, "database": 1, "consume": "Queue"})),
        redis(json!({"topology": "Cluster", "tls": {"secretRef": {"name": "redis"}}})),
        redis(json!({"topology": "Sentinel", "sentinel": {"service": "main"}})),
        backend(&json!({"redis": {"addresses": ["a:1", "[2001:db8::1]:6379"], "topology": "Cluster"}})),
        rabbit_mq(json!({"tls": {"serverName": "rabbitmq"}, "partitions": 4})),
    ] {
        let refused = create(client, &resource).await.err();
        assert_eq!(refused, None, "{resource}");
    }
}

/// Mistakes are refused, each with a part of its message.
pub async fn refuse(client: &Client) {
    let delivery = |value: Value| with("/spec/delivery", value);
    for (resource, message) in [
        (delivery(json!({"replyMethods": ["sendMessage"]})), "use mode Synchronous, or remove replyMethods"),
        (
            delivery(json!({"mode": "Synchronous", "replyMethods": ["send_message"]})),
            "spec.delivery.replyMethods[0]",
        ),
        (delivery(json!({"mode": "Synchronous", "answerAfter": "Delivered"})), "remove answerAfter"),
        (delivery(json!({"mode": "Synchronous", "backend": {"embedded": {}}})), "or remove backend"),
        (
            delivery(
                json!({"answerAfter": "Delivered", "backend": {"redis": {"addresses": ["a:1"], "consume": "Queue"}}}),
            ),
            "use Stored",
        ),
        (delivery(json!({"timeout": "1d"})), "spec.delivery.timeout"),
        (delivery(json!({"maxAttempts": 0})), "spec.delivery.maxAttempts"),
        (delivery(json!({"concurrency": 257})), "spec.delivery.concurrency"),
        (
            delivery(json!({"secretTokenSecretRef": {"name": "crm"}})),
            "spec.delivery.secretTokenSecretRef.key",
        ),
        (backend(&json!({})), "name exactly one of embedded, redis and rabbitMq"),
        (
            backend(&json!({"embedded": {}, "redis": {"addresses": ["a:1"]}})),
            "name exactly one of embedded, redis and rabbitMq",
        ),
        (backend(&json!({"embedded": {"size": "512M"}})), "spec.delivery.backend.embedded.size"),
        (backend(&json!({"embedded": {"size": "63Mi"}})), "must be from 64Mi to 64Gi"),
        (backend(&json!({"embedded": {"size": "65Gi"}})), "must be from 64Mi to 64Gi"),
        (
            backend(&json!({"embedded": {"volume": {"name": "data", "subPath": "../a"}}})),
            "spec.delivery.backend.embedded.volume.subPath",
        ),
        (backend(&json!({"redis": {"addresses": []}})), "spec.delivery.backend.redis.addresses"),
        (
            backend(&json!({"redis": {"addresses": ["redis://a:1"]}})),
            "spec.delivery.backend.redis.addresses[0]",
        ),
        (backend(&json!({"redis": {"addresses": ["a:1", "b:1"]}})), "topology Standalone is one server"),
        (redis(json!({"topology": "Sentinel"})), "goes with topology Sentinel, and only with it"),
        (redis(json!({"sentinel": {"service": "main"}})), "goes with topology Sentinel, and only with it"),
        (redis(json!({"topology": "Cluster", "database": 1})), "a cluster has database 0 only"),
        (redis(json!({"topology": "Cluster", "tls": {"serverName": "a"}})), "a name of its own; remove it"),
        (redis(json!({"keyPrefix": "{a}"})), "spec.delivery.backend.redis.keyPrefix"),
        (redis(json!({"maxUpdates": 0})), "spec.delivery.backend.redis.maxUpdates"),
        (
            backend(&json!({"rabbitMq": {"addresses": ["a:1"]}})),
            "spec.delivery.backend.rabbitMq.credentialsSecretRef",
        ),
        (rabbit_mq(json!({"partitions": 129})), "spec.delivery.backend.rabbitMq.partitions"),
    ] {
        let error = create(client, &resource).await.expect_err(&format!("{resource} was accepted"));
        assert!(error.contains(message), "{resource}: {error}");
    }
}
