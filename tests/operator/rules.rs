//! The rules that the API server checks by itself: each mistake is refused with a message that names the field and the fix.

use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};
use telegram_webhook_crds::{DeletionPolicy, TelegramWebhook};
use telegram_webhook_tests::shared;

mod delivery;
mod fallback;
mod request_path;

/// A resource as a user would write it.
fn example() -> Value {
    json!({
        "apiVersion": "telegram-webhook.dev/v1alpha1",
        "kind": "TelegramWebhook",
        "metadata": {"name": "rules"},
        "spec": {
            "bot": {"tokenSecretRef": {"name": "support-bot"}},
            "workload": {"selector": {"matchLabels": {"app": "crm"}}, "upstream": {"port": 3000}},
            "endpoint": {"host": "hooks.example.com", "tls": {"secretRef": {"name": "hooks-tls"}}},
        },
    })
}

/// Creates the resource without keeping it.
async fn create(client: &Client, resource: &Value) -> Result<TelegramWebhook, String> {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let resource: kube::api::DynamicObject = serde_json::from_value(resource.clone()).unwrap();
    let api: Api<kube::api::DynamicObject> = Api::namespaced_with(
        client.clone(),
        "default",
        &kube::api::ApiResource::erase::<TelegramWebhook>(&()),
    );
    match api.create(&params, &resource).await {
        Ok(created) => Ok(created.try_parse().unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn mistakes_are_refused_with_the_field_and_the_fix() {
    shared::with_installation(async |installation| {
        let client = installation.client();
        refuse_mistakes(&client).await;
        request_path::accept(&client).await;
        request_path::refuse(&client).await;
        delivery::accept(&client).await;
        delivery::refuse(&client).await;
        fallback::check(&client).await;
        Ok(())
    });
}

async fn refuse_mistakes(client: &Client) {
    let created = create(client, &example()).await.unwrap();
    let spec = &created.spec;
    assert_eq!((spec.endpoint.port, spec.endpoint.max_connections), (443, 40));
    assert_eq!(
        (spec.endpoint.path_prefix.as_str(), spec.workload.upstream.path.as_str()),
        ("/telegram", "/")
    );
    assert_eq!(
        (spec.bot.api_server.as_str(), spec.bot.token_secret_ref.key.as_str()),
        ("https://api.telegram.org", "token")
    );
    assert_eq!((spec.deletion_policy, spec.suspend), (DeletionPolicy::Retain, false));
    assert_eq!(created.status.unwrap_or_default().observed_generation, -1);
    let mut with_query = example();
    with_query["spec"]["workload"]["upstream"]["path"] = json!("/api/v1/channels?bid=7");
    create(client, &with_query).await.unwrap();
    let mut labelled = example();
    labelled["spec"]["workload"]["selector"]["matchLabels"] =
        json!({"app.kubernetes.io/name": "crm", "track": "", "v": "1.2_a-B"});
    create(client, &labelled).await.unwrap();

    for (pointer, value, message) in [
        ("/spec/endpoint/port", json!(444), "Telegram delivers to 443, 80, 88 and 8443 only"),
        ("/spec/endpoint/host", json!("Hooks.Example.com"), "spec.endpoint.host"),
        ("/spec/endpoint/host", json!("https://hooks.example.com"), "spec.endpoint.host"),
        ("/spec/endpoint/host", json!("192.0.2.7"), "must be a DNS name"),
        ("/spec/endpoint/ipAddress", json!("2001:db8::1"), "Telegram delivers over IPv4 only"),
        ("/spec/endpoint/ipAddress", json!("1.2.3"), "must be an IPv4 address"),
        ("/spec/endpoint/maxConnections", json!(0), "spec.endpoint.maxConnections"),
        ("/spec/endpoint/maxConnections", json!(101), "spec.endpoint.maxConnections"),
        ("/spec/endpoint/pathPrefix", json!("telegram"), "spec.endpoint.pathPrefix"),
        ("/spec/endpoint/pathPrefix", json!("/a?b"), "spec.endpoint.pathPrefix"),
        ("/spec/workload/upstream/port", json!(18443), "the sidecar's own ports"),
        ("/spec/workload/upstream/path", json!("webhooks"), "spec.workload.upstream.path"),
        ("/spec/workload/selector/matchLabels", json!({}), "spec.workload.selector.matchLabels"),
        (
            "/spec/workload/selector/matchLabels",
            json!({"app": "a b"}),
            "spec.workload.selector.matchLabels.app",
        ),
        (
            "/spec/workload/selector/matchLabels",
            json!({"app": "a".repeat(64)}),
            "spec.workload.selector.matchLabels.app",
        ),
        (
            "/spec/workload/selector/matchLabels",
            json!({"a b": "c"}),
            "spec.workload.selector.matchLabels: a key is no label's",
        ),
        (
            "/spec/workload/selector/matchLabels",
            json!({"example.com/": "c"}),
            "spec.workload.selector.matchLabels: a key is no label's",
        ),
        ("/spec/bot/apiServer", json!("api.telegram.org"), "spec.bot.apiServer"),
        ("/spec/bot/apiServer", json!("https://api.telegram.org/x"), "spec.bot.apiServer"),
        ("/spec/deletionPolicy", json!("Keep"), "spec.deletionPolicy"),
        ("/metadata/name", json!("1bot"), "metadata.name: use at most 40 characters"),
        ("/metadata/name", json!("a.b"), "metadata.name: use at most 40 characters"),
        ("/metadata/name", json!("a".repeat(41)), "metadata.name: use at most 40 characters"),
    ] {
        let mut resource = example();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        resource.pointer_mut(parent).unwrap()[key] = value.clone();
        let error = create(client, &resource).await.expect_err(&format!("{pointer}: {value} was accepted"));
        assert!(error.contains(message), "{pointer}: {value}: {error}");
    }
}
