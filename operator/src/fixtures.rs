//! Test builders: resources as users write them, and what they point at.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use rcgen::{CertificateParams, KeyPair};
use telegram_webhook_crds::TelegramWebhook;
use time::{Duration, OffsetDateTime};

pub mod cluster;
pub mod dns;
pub mod seen;
pub mod telegram;

/// Of bot 123456. Not a real one.
pub const TOKEN: &str = "123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678";

const WEBHOOK: &str = r"
apiVersion: telegram-webhook.dev/v1alpha1
kind: TelegramWebhook
metadata:
  name: support
  namespace: crm
  uid: 00000000-0000-0000-0000-000000000001
  generation: 1
  creationTimestamp: 2026-01-01T00:00:00Z
spec:
  bot:
    tokenSecretRef: {name: support-bot}
  workload:
    selector: {matchLabels: {app: helpdesk}}
    upstream: {port: 3000, path: /webhooks/telegram}
  endpoint:
    host: hooks.example.com
    tls: {secretRef: {name: hooks-tls}}
";

/// In place of the line before which it stands in the resource: a fallback, and the backend that it needs.
pub const FALLBACK: &str =
    "  fallback: {}\n  delivery: {backend: {redis: {addresses: ['redis:6379']}}}\n  workload:";

/// A pod of a fallback, as it is before anybody has set its gate.
pub fn fallback_pod(webhook: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "fallback-0",
            "namespace": "crm",
            "labels": {
                "app": "helpdesk",
                "telegram-webhook.dev/inject": "true",
                "telegram-webhook.dev/fallback": webhook,
            },
        },
        "spec": {
            "containers": [{"name": "stand-by"}],
            "initContainers": [{"name": "telegram-webhook-sidecar"}],
            "readinessGates": [{"conditionType": "telegram-webhook.dev/no-crm-pod-ready"}],
        },
        "status": {
            "podIP": "10.0.0.8",
            "phase": "Running",
            "conditions": [{"type": "ContainersReady", "status": "True"}],
        },
    })
}

/// What `main` does first. Every test that speaks HTTP needs it, and whichever comes first does it.
pub fn install_crypto() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
}

/// A resource as in the documentation.
pub fn webhook() -> TelegramWebhook {
    webhook_with(&[])
}

/// The same with texts replaced.
pub fn webhook_with(changes: &[(&str, &str)]) -> TelegramWebhook {
    let text = changes.iter().fold(WEBHOOK.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in the fixture");
        text.replace(from, to)
    });
    serde_saphyr::from_str(&text).unwrap()
}

/// A Secret with these keys.
pub fn secret(name: &str, data: &[(&str, &[u8])]) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(name.to_owned());
    secret.metadata.namespace = Some("crm".to_owned());
    secret.data =
        Some(data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect());
    secret
}

/// The Secret that the resource's token is in.
pub fn token_secret(token: &str) -> Secret {
    let mut secret = secret("support-bot", &[("token", token.as_bytes())]);
    secret.metadata.labels =
        Some(BTreeMap::from([("telegram-webhook.dev/bot-token".to_owned(), "true".to_owned())]));
    secret
}

/// The Secret that a relay's signing key is in.
pub fn hmac_secret(key: &[u8]) -> Secret {
    let mut secret = secret("relay", &[("secret", key)]);
    secret.metadata.labels =
        Some(BTreeMap::from([("telegram-webhook.dev/hmac-secret".to_owned(), "true".to_owned())]));
    secret
}

/// A Secret that the CRM knows too.
pub fn delivery_secret(name: &str, text: &[u8]) -> Secret {
    let mut secret = secret(name, &[("secret", text)]);
    secret.metadata.labels =
        Some(BTreeMap::from([("telegram-webhook.dev/delivery-secret".to_owned(), "true".to_owned())]));
    secret
}

/// A chain of one for `name`, valid for `days` around `now`, and its key.
pub fn certificate(name: &str, now: i64, days: std::ops::Range<i64>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let now = OffsetDateTime::from_unix_timestamp(now).unwrap();
    params.not_before = now + Duration::days(days.start);
    params.not_after = now + Duration::days(days.end);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// The Secret that the resource's certificate is in.
pub fn tls_secret((chain, key): &(String, String)) -> Secret {
    secret("hooks-tls", &[("tls.crt", chain.as_bytes()), ("tls.key", key.as_bytes())])
}
