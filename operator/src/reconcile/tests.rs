//! Whole passes against a Kubernetes API and a Telegram in memory.

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{reflector, watcher};
use serde_json::{Value, json};

use super::*;
use crate::{
    dns::Answer as DnsAnswer,
    fixtures::{
        self,
        cluster::FakeCluster,
        dns::FakeDns,
        telegram::{Answer, FakeTelegram},
    },
    telegram::ApiError,
};

mod changes;
mod deletion;
mod delivery;
mod fallback;
mod ownership;
mod troubles;

const WEBHOOK: &str = "/apis/telegram-webhook.dev/v1alpha1/namespaces/crm/telegramwebhooks/support";
const CHILD_SECRET: &str = "/api/v1/namespaces/crm/secrets/support-telegram-webhook";
const CHILD_SERVICE: &str = "/api/v1/namespaces/crm/services/support-telegram-webhook";
const TOKEN_SECRET: &str = "/api/v1/namespaces/crm/secrets/support-bot";
const TLS_SECRET: &str = "/api/v1/namespaces/crm/secrets/hooks-tls";
const HMAC_SECRET: &str = "/api/v1/namespaces/crm/secrets/relay";
const SIGNING_SECRET: &str = "/api/v1/namespaces/crm/secrets/support-telegram-webhook-signing";
const POD: &str = "/api/v1/namespaces/crm/pods/crm-0";

/// A cluster with one resource and its Secrets, and Telegram.
struct World {
    cluster: FakeCluster,
    telegram: Arc<FakeTelegram>,
    dns: Arc<FakeDns>,
    context: Arc<Context>,
    others: Vec<TelegramWebhook>,
}

impl World {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(changes: &[(&str, &str)]) -> Self {
        fixtures::install_crypto();
        let cluster = FakeCluster::start().await;
        cluster.put(WEBHOOK, &fixtures::webhook_with(changes));
        cluster.put(TOKEN_SECRET, &fixtures::token_secret(fixtures::TOKEN));
        let now = Timestamp::now().as_second();
        let pair = fixtures::certificate("hooks.example.com", now, -1..30);
        cluster.put(TLS_SECRET, &fixtures::tls_secret(&pair));
        let telegram = Arc::new(FakeTelegram::default());
        let dns = Arc::new(FakeDns::default());
        let context = context(&cluster, &telegram, &dns, &[]);
        Self { cluster, telegram, dns, context, others: Vec::new() }
    }

    fn add_pod(&self) {
        self.add_pod_reading(&["support-telegram-webhook", "hooks-tls"]);
    }

    /// A pod as it was injected when these Secrets were named.
    fn add_pod_reading(&self, secrets: &[&str]) {
        let sources: Vec<_> = secrets.iter().map(|name| json!({"secret": {"name": name}})).collect();
        let volume = json!({"name": "telegram-webhook-sidecar-config", "projected": {"sources": sources}});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "crm-0", "namespace": "crm"},
            "spec": {
                "containers": [],
                "initContainers": [{"name": "telegram-webhook-sidecar"}],
                "volumes": [volume],
            },
            "status": {"podIP": "10.0.0.7", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        self.cluster.put(POD, &pod);
    }

    fn deliver(&self) {
        self.cluster.deliver("crm/support", CHILD_SECRET, TLS_SECRET);
    }

    /// A new process: nothing is remembered.
    fn restart(&mut self) {
        self.context = context(&self.cluster, &self.telegram, &self.dns, &self.others);
    }

    fn webhook(&self) -> TelegramWebhook {
        serde_json::from_value(self.cluster.get(WEBHOOK).unwrap()).unwrap()
    }

    async fn pass(&self) -> Result<Action, Error> {
        reconcile(Arc::new(self.webhook()), Arc::clone(&self.context)).await
    }

    /// From nothing to a registered webhook.
    async fn register(&self) {
        self.add_pod();
        self.register_pod().await;
    }

    /// The same, if the pod is there.
    async fn register_pod(&self) {
        self.pass().await.unwrap();
        self.pass().await.unwrap();
        self.deliver();
        self.pass().await.unwrap();
        assert_eq!(self.condition("Ready"), ("True".into(), "Registered".into()));
    }

    /// Status and reason; empty if it is absent.
    fn condition(&self, type_: &str) -> (String, String) {
        let status = self.cluster.get(WEBHOOK).unwrap()["status"]["conditions"].clone();
        let conditions = status.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        conditions
            .iter()
            .find(|condition| condition["type"] == type_)
            .map(|condition| (text(&condition["status"]), text(&condition["reason"])))
            .unwrap_or_default()
    }

    fn stored(&self) -> stored::Stored {
        let secret: Secret = serde_json::from_value(self.cluster.get(CHILD_SECRET).unwrap()).unwrap();
        stored::Stored::read(&secret).unwrap()
    }

    /// A user deletes the resource.
    fn delete(&self) {
        let mut webhook = self.webhook();
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::now());
        webhook.metadata.deletion_timestamp = Some(now);
        self.cluster.put(WEBHOOK, &webhook);
    }

    fn finalizers(&self) -> Vec<String> {
        self.webhook().metadata.finalizers.unwrap_or_default()
    }
}

fn context(
    cluster: &FakeCluster,
    telegram: &Arc<FakeTelegram>,
    dns: &Arc<FakeDns>,
    others: &[TelegramWebhook],
) -> Arc<Context> {
    let (store, mut writer) = reflector::store();
    for other in others {
        writer.apply_watcher_event(&watcher::Event::Apply(other.clone()));
    }
    Arc::new(Context {
        client: cluster.client(),
        bots: Arc::clone(telegram) as Arc<dyn BotApi>,
        sidecars: cluster.pods(),
        resolver: Arc::clone(dns) as Arc<dyn Resolver>,
        store,
        events: Events::new(cluster.client(), Some("operator-0".into())),
        metrics: Arc::default(),
        memory: Memory::default(),
        settings: validate::Settings::default(),
        resync: Duration::from_mins(1),
        cleanup_deadline: Duration::from_mins(1),
    })
}

fn condition(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn without_pods_the_children_are_made_and_telegram_is_told_nothing() {
    let world = World::new().await;
    world.pass().await.unwrap();
    assert_eq!(world.finalizers(), [FINALIZER]);
    world.pass().await.unwrap();
    assert!(world.cluster.get(CHILD_SECRET).is_some() && world.cluster.get(CHILD_SERVICE).is_some());
    assert_eq!(world.condition("SidecarsReady"), condition("False", "NoPodsSelected"));
    assert_eq!(world.condition("Ready"), condition("False", "NoPodsSelected"));
    assert_eq!(world.condition("TokenValid"), condition("True", "TokenAccepted"));
    assert_eq!(world.telegram.calls(), ["getMe"]);
}

#[tokio::test]
async fn telegram_is_told_once_the_sidecar_has_the_secrets() {
    let world = World::new().await;
    world.add_pod();
    world.pass().await.unwrap();
    world.pass().await.unwrap();
    assert_eq!(world.condition("SecretsDelivered"), condition("False", "SecretsNotLoaded"));
    assert_eq!(world.telegram.calls(), ["getMe"]);
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert_eq!(world.condition("WebhookRegistered"), condition("True", "WebhookSet"));
    assert_eq!(world.condition("Reconciling"), condition("", ""));
    let status = world.webhook().status.unwrap();
    assert_eq!(status.observed_generation, 1);
    let registration = status.registration.unwrap();
    assert_eq!((registration.bot_id, registration.slot), (123_456, 1));
    assert_eq!(world.stored().accepted.unwrap().parameters.url, world.telegram.url());
}

#[tokio::test]
async fn waiting_for_a_sidecar_is_no_failure() {
    let world = World::new().await;
    world.add_pod();
    for _ in 0..4 {
        world.pass().await.unwrap();
    }
    let remembered = world.context.memory.of("00000000-0000-0000-0000-000000000001");
    assert_eq!((remembered.failures, remembered.polls), (0, 3));
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.context.memory.of("00000000-0000-0000-0000-000000000001").polls, 0);
}

#[tokio::test]
async fn five_restarts_write_nothing_and_set_nothing() {
    let mut world = World::new().await;
    world.register().await;
    world.cluster.writes();
    world.telegram.calls();
    for _ in 0..5 {
        world.restart();
        world.pass().await.unwrap();
        world.pass().await.unwrap();
        assert_eq!(world.telegram.calls(), ["getMe", "getWebhookInfo", "getWebhookInfo"]);
    }
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn suspended_means_that_nothing_is_touched() {
    let world = World::with(&[("spec:", "spec:\n  suspend: true")]).await;
    world.pass().await.unwrap();
    world.cluster.writes();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "Suspended"));
    assert_eq!(world.cluster.writes(), [format!("PATCH {WEBHOOK}/status")]);
    assert!(world.telegram.calls().is_empty());
}

#[tokio::test]
async fn status_and_events_hold_no_secret() {
    let world = World::new().await;
    world.register().await;
    let slot = world.stored().config.slots[0].clone();
    let segment = slot.path.rsplit('/').next().unwrap().to_owned();
    let text = world.cluster.public_text();
    assert!(text.contains("Telegram was told the webhook") && text.contains("urlDigest"), "{text}");
    for secret in [slot.secret_token.as_str(), &segment, "ABCdefGHI"] {
        assert!(!text.contains(secret), "{text}");
    }
}
