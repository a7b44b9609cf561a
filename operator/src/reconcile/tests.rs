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

const WEBHOOK: &str = "/apis/telegram-webhook.dev/v1alpha1/namespaces/crm/telegramwebhooks/support";
const CHILD_SECRET: &str = "/api/v1/namespaces/crm/secrets/support-telegram-webhook";
const CHILD_SERVICE: &str = "/api/v1/namespaces/crm/services/support-telegram-webhook";
const TOKEN_SECRET: &str = "/api/v1/namespaces/crm/secrets/support-bot";
const TLS_SECRET: &str = "/api/v1/namespaces/crm/secrets/hooks-tls";
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
async fn a_child_that_somebody_changed_is_mended() {
    let world = World::new().await;
    world.register().await;
    let mut service = world.cluster.get(CHILD_SERVICE).unwrap();
    service["spec"]["selector"]["stray"] = json!("label");
    world.cluster.put(CHILD_SERVICE, &service);
    world.cluster.writes();
    world.pass().await.unwrap();
    assert_eq!(world.cluster.writes(), [format!("PATCH {CHILD_SERVICE}")]);
}

#[tokio::test]
async fn what_others_add_to_a_child_is_neither_fought_nor_claimed() {
    let world = World::new().await;
    world.add_pod();
    world.pass().await.unwrap();
    world.pass().await.unwrap();
    let second_owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": "00000000-0000-0000-0000-000000000009"});
    for child in [CHILD_SECRET, CHILD_SERVICE] {
        let mut object = world.cluster.get(child).unwrap();
        object["metadata"]["ownerReferences"].as_array_mut().unwrap().push(second_owner.clone());
        object["metadata"]["annotations"] = json!({"foreign": "annotation"});
        if child == CHILD_SECRET {
            object["data"]["foreign"] = json!("a2V5");
        }
        world.cluster.put(child, &object);
    }
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    let applied = world.cluster.last_apply(CHILD_SECRET);
    assert!(applied["data"]["registered.json"].is_string());
    assert_eq!(
        (&applied["data"]["foreign"], &applied["metadata"]["annotations"]),
        (&Value::Null, &Value::Null)
    );
    world.cluster.writes();
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());
}

#[tokio::test]
async fn a_new_selector_leads_telegram_nowhere_until_its_pods_have_the_secrets() {
    let world = World::new().await;
    world.register().await;
    let selector = || world.cluster.get(CHILD_SERVICE).unwrap()["spec"]["selector"]["app"].clone();
    let mut webhook = world.webhook();
    webhook.spec.workload.selector.match_labels.insert("app".into(), "elsewhere".into());
    world.cluster.put(WEBHOOK, &webhook);
    // nothing has the new labels
    world.cluster.remove(POD);
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "NoPodsSelected"));
    assert_eq!(selector(), "helpdesk");
    // a pod has them, but not the secrets
    world.add_pod();
    world.cluster.undeliver("crm/support");
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "SecretsNotLoaded"));
    assert_eq!(selector(), "helpdesk");
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert_eq!(selector(), "elsewhere");
}

#[tokio::test]
async fn pods_that_were_injected_for_other_resources_have_to_be_restarted() {
    let world = World::new().await;
    world.add_pod_reading(&["sales-telegram-webhook", "sales-tls"]);
    world.pass().await.unwrap();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("False", "SidecarOutdated"));
    assert!(world.cluster.public_text().contains("restart them"));
    world.add_pod();
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn telegram_is_told_nothing_new_while_the_sidecars_serve_another_certificate() {
    let world = World::new().await;
    world.register().await;
    world.telegram.calls();
    let pair = fixtures::certificate("hooks.example.com", Timestamp::now().as_second(), -1..60);
    world.cluster.put(TLS_SECRET, &fixtures::tls_secret(&pair));
    // an ordinary renewal changes nothing
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    let mut webhook = world.webhook();
    webhook.spec.endpoint.max_connections = 7;
    world.cluster.put(WEBHOOK, &webhook);
    world.pass().await.unwrap();
    assert_eq!(world.condition("WebhookRegistered"), condition("False", "CertificateNotLoaded"));
    assert!(!world.telegram.calls().contains(&"setWebhook"));
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert!(world.telegram.calls().contains(&"setWebhook"));
}

#[tokio::test]
async fn the_port_that_telegram_uses_is_kept_until_it_has_been_told_another() {
    let world = World::new().await;
    world.register().await;
    let ports = || {
        let ports = world.cluster.get(CHILD_SERVICE).unwrap()["spec"]["ports"].clone();
        ports.as_array().unwrap().iter().map(|port| port["port"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let mut webhook = world.webhook();
    webhook.spec.endpoint.port = 8443;
    world.cluster.put(WEBHOOK, &webhook);
    let refusal = Answer::Untouched(ApiError::Server(502));
    world.telegram.state().answers.push_back(refusal);
    assert!(world.pass().await.is_err());
    assert_eq!(ports(), [8443, 443]);
    world.pass().await.unwrap();
    assert!(world.telegram.url().starts_with("https://hooks.example.com:8443/"));
    world.pass().await.unwrap();
    assert_eq!(ports(), [8443]);
}

#[tokio::test]
async fn a_new_path_is_served_beside_the_former_one_until_telegram_has_settled_on_it() {
    let world = World::new().await;
    world.register().await;
    let slots = || world.stored().config.slots.iter().map(|slot| slot.id).collect::<Vec<_>>();
    let mut webhook = world.webhook();
    webhook.spec.endpoint.path_prefix = "/hooks".into();
    world.cluster.put(WEBHOOK, &webhook);
    world.pass().await.unwrap();
    assert_eq!(slots(), [2, 1]);
    world.deliver();
    world.pass().await.unwrap();
    assert!(world.telegram.url().starts_with("https://hooks.example.com/hooks/"));
    assert_eq!(slots(), [2, 1]);
    world.pass().await.unwrap();
    assert_eq!(slots(), [2]);
    world.telegram.calls();
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
    assert_eq!(world.telegram.calls(), ["getWebhookInfo"]);
}

#[tokio::test]
async fn a_lost_secret_means_a_new_slot_under_the_next_number() {
    let world = World::new().await;
    world.register().await;
    let lost = world.stored().config.slots[0].clone();
    world.cluster.remove(CHILD_SECRET);
    world.pass().await.unwrap();
    let new = world.stored().config.slots[0].clone();
    assert_eq!(new.id, 2);
    assert!(new.path != lost.path && new.secret_token != lost.secret_token);
    assert_eq!(world.condition("Ready"), condition("False", "SecretsNotLoaded"));
    world.deliver();
    world.pass().await.unwrap();
    assert_eq!(world.webhook().status.unwrap().registration.unwrap().slot, 2);
}

#[tokio::test]
async fn a_mistake_is_told_and_the_working_webhook_is_not_touched() {
    let world = World::new().await;
    world.register().await;
    let url = world.telegram.url();
    world.telegram.calls();
    let expired = fixtures::certificate("hooks.example.com", Timestamp::now().as_second(), -30..-1);
    world.cluster.put(TLS_SECRET, &fixtures::tls_secret(&expired));
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Ready"), condition("False", "CertificateExpired"));
    assert_eq!(world.condition("Stalled"), condition("True", "CertificateExpired"));
    assert_eq!(world.condition("WebhookRegistered"), condition("True", "WebhookSet"));
    assert!(world.telegram.calls().is_empty());
    assert_eq!(world.telegram.url(), url);
}

#[tokio::test]
async fn a_silent_dns_takes_nothing_away_and_keeps_nothing_from_being_healed() {
    let world = World::new().await;
    world.register().await;
    let url = world.telegram.url();
    world.dns.set(DnsAnswer::NoAnswer);
    world.cluster.writes();
    world.pass().await.unwrap();
    assert!(world.cluster.writes().is_empty());
    world.telegram.state().info = crate::telegram::WebhookInfo::default();
    world.pass().await.unwrap();
    assert_eq!((world.telegram.url(), world.condition("Ready").0), (url, "True".into()));
}

#[tokio::test]
async fn a_silent_dns_keeps_telegram_from_being_told_a_new_host() {
    let world = World::new().await;
    world.dns.set(DnsAnswer::NoAnswer);
    world.add_pod();
    // at the first look there is no Service yet that the host could lead to
    world.pass().await.unwrap();
    world.pass().await.unwrap();
    world.deliver();
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Reconciling"), condition("True", "DnsUnavailable"));
    assert_eq!(world.condition("Stalled"), condition("", ""));
    assert_eq!(world.telegram.calls(), ["getMe"]);
    world.dns.set(DnsAnswer::NoSuchName);
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Ready"), condition("False", "HostNotResolved"));
}

#[tokio::test]
async fn a_rejected_token_changes_nothing_and_is_told() {
    let world = World::new().await;
    world.register().await;
    let token = fixtures::TOKEN.replace("123456", "654321");
    world.cluster.put(TOKEN_SECRET, &fixtures::token_secret(&token));
    world.telegram.state().get_me = Some(Err(ApiError::Unauthorized));
    world.cluster.writes();
    world.telegram.calls();
    for _ in 0..3 {
        assert!(matches!(world.pass().await, Err(Error::Register(_))));
    }
    assert_eq!(world.condition("TokenValid"), condition("False", "TokenRejected"));
    assert_eq!(world.condition("Stalled"), condition("True", "TokenRejected"));
    assert_eq!(world.telegram.calls(), ["getMe"]);
    let writes = world.cluster.writes();
    assert_eq!(writes.iter().filter(|write| write.contains("/status")).count(), 1);
    assert!(!writes.iter().any(|write| write.contains("/secrets")), "{writes:?}");
}

#[tokio::test]
async fn a_silent_telegram_keeps_no_children_from_being_made() {
    let world = World::new().await;
    world.telegram.state().get_me = Some(Err(ApiError::Timeout));
    world.pass().await.unwrap();
    assert!(matches!(world.pass().await, Err(Error::Register(_))));
    assert!(world.cluster.get(CHILD_SECRET).is_some());
    assert_eq!(world.condition("Reconciling"), condition("True", "BotApiUnavailable"));
}

#[tokio::test]
async fn what_telegram_refused_is_not_tried_again_after_a_restart() {
    let mut world = World::new().await;
    world.register().await;
    let url = world.telegram.url();
    let refusal = Answer::Erases(ApiError::BadRequest("bad webhook".into()));
    world.telegram.state().answers.push_back(refusal);
    let mut webhook = world.webhook();
    webhook.spec.endpoint.max_connections = 7;
    world.cluster.put(WEBHOOK, &webhook);
    assert!(matches!(world.pass().await, Err(Error::Register(_))));
    assert_eq!(world.condition("Stalled"), condition("True", "RegistrationRefused"));
    assert_eq!(world.telegram.url(), url);
    assert!(world.cluster.public_text().contains("RegistrationFailed"));
    world.telegram.calls();
    world.restart();
    assert!(matches!(world.pass().await, Err(Error::Register(_))));
    assert_eq!(world.telegram.calls(), ["getMe", "getWebhookInfo"]);
    // other parameters are another attempt
    webhook.spec.endpoint.max_connections = 8;
    webhook.status = world.webhook().status;
    world.cluster.put(WEBHOOK, &webhook);
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn a_refusal_is_forgotten_once_telegram_accepts_something() {
    let world = World::new().await;
    world.register().await;
    let good = world.webhook();
    let refusal = Answer::Erases(ApiError::BadRequest("bad webhook".into()));
    world.telegram.state().answers.push_back(refusal);
    let mut webhook = world.webhook();
    webhook.spec.endpoint.max_connections = 7;
    world.cluster.put(WEBHOOK, &webhook);
    assert!(world.pass().await.is_err());
    assert!(world.stored().refused.is_some());
    world.cluster.put(WEBHOOK, &good);
    world.telegram.state().info = crate::telegram::WebhookInfo::default();
    world.pass().await.unwrap();
    assert_eq!(world.stored().refused, None);
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
async fn the_younger_of_two_resources_for_one_bot_never_speaks_to_telegram() {
    let mut world = World::new().await;
    world.add_pod();
    world.others = vec![fixtures::webhook_with(&[
        ("name: support\n", "name: first\n"),
        ("000000000001", "000000000002"),
        ("2026-01-01", "2025-01-01"),
    ])];
    world.restart();
    world.pass().await.unwrap();
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Stalled"), condition("True", "DuplicateBot"));
    assert!(world.cluster.public_text().contains("TelegramWebhook first"));
    assert!(world.telegram.calls().is_empty());
}

#[tokio::test]
async fn a_resource_whose_token_was_never_accepted_does_not_take_a_bot_away() {
    let mut world = World::new().await;
    let squatter = fixtures::webhook_with(&[
        ("namespace: crm\n", "namespace: evil\n"),
        ("000000000001", "000000000002"),
        ("2026-01-01", "2025-01-01"),
    ]);
    let guess = fixtures::TOKEN.replace("ABC", "XYZ");
    world.cluster.put("/api/v1/namespaces/evil/secrets/support-bot", &fixtures::token_secret(&guess));
    world.others = vec![squatter];
    world.restart();
    world.register().await;
    // nor later, when its token has been rejected
    let uid = "00000000-0000-0000-0000-000000000002";
    world.context.memory.update(uid, |memory| memory.rejected = Some(([0; 32], Instant::now())));
    world.pass().await.unwrap();
    assert_eq!(world.condition("Ready"), condition("True", "Registered"));
}

#[tokio::test]
async fn a_resource_that_is_registered_has_its_bot_whatever_its_token_is_now() {
    let mut world = World::new().await;
    world.register().await;
    let mut first = world.webhook();
    first.metadata.name = Some("first".into());
    first.metadata.uid = Some("00000000-0000-0000-0000-000000000002".into());
    first.metadata.creation_timestamp = first.creation_timestamp().map(|mut time| {
        time.0 -= Duration::from_hours(1);
        time
    });
    first.spec.bot.token_secret_ref.name = "renewed".into();
    world.others = vec![first];
    world.restart();
    assert!(matches!(world.pass().await, Err(Error::Validate(_))));
    assert_eq!(world.condition("Stalled"), condition("True", "DuplicateBot"));
}

#[tokio::test]
async fn a_deleted_resource_takes_its_webhook_along_if_asked() {
    let world = World::with(&[("spec:", "spec:\n  deletionPolicy: Delete")]).await;
    world.register().await;
    world.delete();
    world.pass().await.unwrap();
    assert_eq!(world.telegram.url(), "");
    assert!(world.finalizers().is_empty());
    assert!(world.cluster.public_text().contains("WebhookDeleted"));
}

#[tokio::test]
async fn a_deletion_in_the_foreground_takes_the_secret_first_and_the_webhook_still_goes() {
    let world = World::with(&[("spec:", "spec:\n  deletionPolicy: Delete")]).await;
    world.register().await;
    world.cluster.remove(CHILD_SECRET);
    world.delete();
    world.pass().await.unwrap();
    assert_eq!(world.telegram.url(), "");
    assert!(world.cluster.public_text().contains("WebhookDeleted"));
}

#[tokio::test]
async fn a_deleted_resource_leaves_its_webhook_by_default() {
    let world = World::new().await;
    world.register().await;
    let url = world.telegram.url();
    world.delete();
    world.pass().await.unwrap();
    assert_eq!(world.telegram.url(), url);
    assert!(world.finalizers().is_empty());
}

#[tokio::test]
async fn a_deletion_does_not_wait_for_a_token_that_is_gone() {
    let world = World::with(&[("spec:", "spec:\n  deletionPolicy: Delete")]).await;
    world.register().await;
    world.cluster.remove(TOKEN_SECRET);
    world.delete();
    world.pass().await.unwrap();
    assert!(world.finalizers().is_empty());
    assert!(world.cluster.public_text().contains("WebhookLeft"));
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
