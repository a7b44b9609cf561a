//! What is put into a pod: the container, its three volumes and the annotation. Every field that the API server would
//! default is spelled out, so that a second look at an injected pod finds exactly what it would render.

use serde_json::{Value, json};
use telegram_webhook_crds::{
    ADMIN_PORT, ADMIN_PORT_NAME, SIDECAR_CONFIG_VOLUME, SIDECAR_CONTAINER, TelegramWebhook, WEBHOOK_PORT,
    WEBHOOK_PORT_NAME, child_name,
};
use telegram_webhook_sidecar_config::{CONFIG_DIR, CONFIG_FILE, STATE_DIR, TLS_CERT_FILE, TLS_KEY_FILE};

/// The empty volume that takes the place of the service account's token.
pub const NO_TOKEN_VOLUME: &str = "telegram-webhook-sidecar-no-token";
/// What the sidecar writes down: it lives as long as the pod, whatever becomes of the container.
pub const STATE_VOLUME: &str = "telegram-webhook-sidecar-state";
/// Says which operator injected the pod, for which resources.
pub const INJECTED_ANNOTATION: &str = "telegram-webhook.dev/injected";

/// Where the service account plugin mounts its token, unless something is mounted there already.
const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The image's user. Any but root would do.
const USER: i64 = 65532;

/// Mebibytes for the state of one resource: it has 10 at most, when the sidecar remembers all that it may and writes a new file. A
/// pod that exceeds the limit is evicted.
const STATE_SIZE: usize = 16;
/// What even a pod of one resource gets.
const MIN_STATE_SIZE: usize = 64;

/// The quality of service class that the pod would have without us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    Guaranteed,
    Other,
}

/// The sidecar container.
pub fn container(image: &str, qos: Qos) -> Value {
    json!({
        "name": SIDECAR_CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["run", "--config-dir", CONFIG_DIR],
        "restartPolicy": "Always",
        "ports": [
            {"name": WEBHOOK_PORT_NAME, "containerPort": WEBHOOK_PORT, "protocol": "TCP"},
            {"name": ADMIN_PORT_NAME, "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "startupProbe": probe("/readyz", 1, 60),
        "readinessProbe": probe("/readyz", 2, 3),
        "livenessProbe": probe("/livez", 10, 3),
        "lifecycle": {"preStop": {"exec": {"command": ["/telegram-webhook-sidecar", "drain"]}}},
        "resources": resources(qos),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
            "runAsGroup": USER,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": SIDECAR_CONFIG_VOLUME, "mountPath": CONFIG_DIR, "readOnly": true},
            {"name": NO_TOKEN_VOLUME, "mountPath": TOKEN_DIR, "readOnly": true},
            {"name": STATE_VOLUME, "mountPath": STATE_DIR},
        ],
    })
}

/// The volumes. One projected volume holds everything: it has one `..data` link, so the sidecar sees all of a change or
/// nothing. `webhooks` are sorted by name.
///
/// The kubelet doesn't start a pod, nor update its volume, while a source that isn't optional is missing. For one resource
/// that is right: nothing runs unprotected, and it starts as soon as its Secrets are there. Of several, one that was
/// suspended, deleted or never worked must not stop the others.
pub fn volumes(webhooks: &[&TelegramWebhook]) -> [Value; 3] {
    let mut sources: Vec<Value> = webhooks.iter().flat_map(|webhook| sources(webhook)).collect();
    if webhooks.len() > 1 {
        for source in &mut sources {
            source["secret"]["optional"] = json!(true);
        }
    }
    let state_size = MIN_STATE_SIZE.max(STATE_SIZE * webhooks.len());
    [
        // mode 0644: files belong to root and the sidecar isn't root; only its container mounts the volume
        json!({"name": SIDECAR_CONFIG_VOLUME, "projected": {"defaultMode": 0o644, "sources": sources}}),
        json!({"name": NO_TOKEN_VOLUME, "emptyDir": {}}),
        // the kubelet lets everybody write there, and no other container mounts it
        json!({"name": STATE_VOLUME, "emptyDir": {"sizeLimit": format!("{state_size}Mi")}}),
    ]
}

/// The value of [`INJECTED_ANNOTATION`].
pub fn annotation(webhooks: &[&TelegramWebhook]) -> String {
    let names: Vec<&str> = webhooks.iter().map(|webhook| name(webhook)).collect();
    json!({"version": env!("CARGO_PKG_VERSION"), "webhooks": names}).to_string()
}

/// Name of a resource; those that come from the API server have one.
pub fn name(webhook: &TelegramWebhook) -> &str {
    webhook.metadata.name.as_deref().unwrap_or_default()
}

fn sources(webhook: &TelegramWebhook) -> [Value; 2] {
    let name = name(webhook);
    let item = |file: &str| json!({"key": file, "path": format!("{name}/{file}")});
    [
        json!({"secret": {"name": child_name(name), "items": [item(CONFIG_FILE)]}}),
        json!({"secret": {
            "name": webhook.spec.endpoint.tls.secret_ref.name,
            "items": [item(TLS_CERT_FILE), item(TLS_KEY_FILE)],
        }}),
    ]
}

fn probe(path: &str, period_seconds: u32, failure_threshold: u32) -> Value {
    json!({
        "httpGet": {"path": path, "port": ADMIN_PORT_NAME, "scheme": "HTTP"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": failure_threshold,
    })
}

/// A guaranteed pod stays one: there requests equal limits. Elsewhere no CPU limit slows the sidecar down.
fn resources(qos: Qos) -> Value {
    match qos {
        Qos::Guaranteed => json!({
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"cpu": "100m", "memory": "64Mi"},
        }),
        Qos::Other => json!({
            "requests": {"cpu": "10m", "memory": "24Mi"},
            "limits": {"memory": "64Mi"},
        }),
    }
}
