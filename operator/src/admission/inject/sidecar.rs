//! What is put into a pod: the container and its volumes. Every field that the API server would
//! default is spelled out, so that a second look at an injected pod finds exactly what it would render.

use serde_json::{Value, json};
use telegram_webhook_crds::{
    ADMIN_PORT, ADMIN_PORT_NAME, SIDECAR_CONFIG_VOLUME, SIDECAR_CONTAINER, TelegramWebhook, WEBHOOK_PORT,
    WEBHOOK_PORT_NAME, child_name,
};
use telegram_webhook_sidecar_config::{CONFIG_DIR, CONFIG_FILE, TLS_CERT_FILE, TLS_KEY_FILE};

use super::{drain, state};
use crate::place::Injected;

/// The empty volume that takes the place of the service account's token.
pub const NO_TOKEN_VOLUME: &str = "telegram-webhook-sidecar-no-token";
/// Where the service account plugin mounts its token, unless something is mounted there already.
const TOKEN_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The image's user. Any but root would do.
const USER: i64 = 65532;

/// Name of the resource.
pub const DISK: &str = "ephemeral-storage";
/// Mebibytes of the sidecar's log that the kubelet keeps: five files of ten.
const LOG_SIZE: u64 = 50;

/// The quality of service class that the pod would have without us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    Guaranteed,
    Other,
}

/// What differs from pod to pod.
pub struct Surroundings<'a> {
    pub qos: Qos,
    pub injected: &'a Injected,
    /// Whether others deliver what is stored here.
    pub store_only: bool,
    /// For how long the end of the pod may wait for the queue.
    pub wait_seconds: Option<i64>,
    /// Whether there is a queue in the pod.
    pub stores: bool,
    /// Whether any container has a limit on the disk that it takes: the pod's is then the sum of those that there are.
    pub disk_is_limited: bool,
}

/// The sidecar container.
pub fn container(image: &str, surroundings: &Surroundings<'_>) -> Value {
    json!({
        "name": SIDECAR_CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": args(surroundings.store_only),
        "restartPolicy": "Always",
        "ports": [
            {"name": WEBHOOK_PORT_NAME, "containerPort": WEBHOOK_PORT, "protocol": "TCP"},
            {"name": ADMIN_PORT_NAME, "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "startupProbe": probe("/readyz", 1, 60),
        "readinessProbe": probe("/readyz", 2, 3),
        "livenessProbe": probe("/livez", 10, 3),
        "lifecycle": {"preStop": {"exec": {"command": drain::command(surroundings.wait_seconds)}}},
        "resources": resources(surroundings),
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
            state::mount(surroundings.injected),
        ],
    })
}

fn args(store_only: bool) -> Value {
    if store_only {
        json!(["run", "--config-dir", CONFIG_DIR, "--store-only"])
    } else {
        json!(["run", "--config-dir", CONFIG_DIR])
    }
}

/// The volumes. One projected volume holds everything: it has one `..data` link, so the sidecar sees all of a change or
/// nothing. `webhooks` are sorted by name.
///
/// The kubelet doesn't start a pod, nor update its volume, while a source that isn't optional is missing. For one resource
/// that is right: nothing runs unprotected, and it starts as soon as its Secrets are there. Of several, one that was
/// suspended, deleted or never worked must not stop the others.
pub fn volumes(webhooks: &[&TelegramWebhook], injected: &Injected) -> Vec<Value> {
    let mut sources: Vec<Value> = webhooks.iter().flat_map(|webhook| sources(webhook)).collect();
    if webhooks.len() > 1 {
        for source in &mut sources {
            source["secret"]["optional"] = json!(true);
        }
    }
    let ours = [
        // mode 0644: files belong to root and the sidecar isn't root; only its container mounts the volume
        json!({"name": SIDECAR_CONFIG_VOLUME, "projected": {"defaultMode": 0o644, "sources": sources}}),
        json!({"name": NO_TOKEN_VOLUME, "emptyDir": {}}),
    ];
    ours.into_iter().chain(state::own_volume(injected)).collect()
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

/// A guaranteed pod stays one: there requests equal limits. Elsewhere no CPU limit slows the sidecar down. Disk is no matter of that
/// class; it is asked for where the queue takes it.
fn resources(surroundings: &Surroundings<'_>) -> Value {
    let mut resources = match surroundings.qos {
        Qos::Guaranteed => json!({
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"cpu": "100m", "memory": "64Mi"},
        }),
        Qos::Other => json!({
            "requests": {"cpu": "10m", "memory": "24Mi"},
            "limits": {"memory": "64Mi"},
        }),
    };
    if let Some(disk) = state::own_mebibytes(surroundings.injected).filter(|_| surroundings.stores) {
        resources["requests"][DISK] = json!(format!("{disk}Mi"));
        if surroundings.disk_is_limited {
            resources["limits"][DISK] = json!(format!("{}Mi", disk + LOG_SIZE));
        }
    }
    resources
}
