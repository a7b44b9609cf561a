//! Which queues are open, on the real disk. The CRM takes connections and never answers: what is stored stays.

use std::{fs, net::TcpListener};

use telegram_webhook_sidecar_config::{self as raw, Backend, WebhookConfig};
use tempfile::TempDir;
use tokio::time::{advance, pause, resume};

use super::*;
use crate::{
    admin::queues::Queues as _,
    queue::{Lane, from_millis},
    test_util::{policy, raw_config},
};

/// Queues in a folder, and a CRM that never answers.
struct Site {
    queues: Arc<Queues>,
    readiness: Arc<Readiness>,
    crm: TcpListener,
}

// === impl Site ===

impl Site {
    fn new(state: &TempDir) -> Self {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let (metrics, tasks, readiness) = (Metrics::new(), TaskTracker::new(), Arc::<Readiness>::default());
        readiness.start_listening();
        let queues = Arc::new(Queues::new(Parts {
            state_dir: state.path().to_owned(),
            crm: Crm::new(metrics.clone(), tasks.clone()),
            bans: Arc::new(Bans::new(metrics.clone())),
            policy: CurrentPolicy::default(),
            metrics,
            readiness: Arc::clone(&readiness),
            clock: Clock::new(),
            grace: Duration::from_secs(5),
            tasks,
            store_only: false,
        }));
        Self { queues, readiness, crm: silent }
    }

    /// A webhook of that CRM.
    fn config(&self, name: &str, mode: raw::DeliveryMode) -> WebhookConfig {
        let mut config = raw_config(name);
        config.upstream.port = self.crm.local_addr().unwrap().port();
        config.delivery.mode = mode;
        config
    }

    async fn follow(&self, configs: &[WebhookConfig]) -> Result<(), OpenError> {
        self.queues.follow(&policy(configs).load()).await
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.queues.names();
        names.sort_unstable();
        names
    }

    async fn waiting(&self, name: &str) -> Result<u64, QueueError> {
        self.queues.depth(name).await.map(|depth| depth.updates)
    }
}

const QUEUED: raw::DeliveryMode = raw::DeliveryMode::Queued;
const SYNCHRONOUS: raw::DeliveryMode = raw::DeliveryMode::Synchronous;

fn webhook_of(config: &WebhookConfig) -> Arc<Webhook> {
    Arc::clone(&policy(std::slice::from_ref(config)).load().webhooks()[0])
}

fn update(id: i64) -> Update {
    Update {
        update_id: Some(id),
        lane: Lane::alone(id),
        received_at: from_millis(1_800_000_000_000),
        expires_at: None,
        body: format!("{{\"update_id\":{id}}}").into(),
    }
}

#[tokio::test]
async fn an_update_that_comes_a_moment_before_its_queue_is_open_waits_for_that() {
    let state = tempfile::tempdir().unwrap();
    let site = Site::new(&state);
    let config = site.config("a", QUEUED);
    let webhook = webhook_of(&config);
    let mut early = Box::pin(site.queues.append(&webhook, update(1)));
    assert!(futures::poll!(&mut early).is_pending());
    pause();
    advance(OPENS_WITHIN / 2).await;
    assert!(futures::poll!(&mut early).is_pending());
    resume();
    site.follow(&[config]).await.unwrap();
    assert_eq!(early.await, Ok(Appended::Stored));
}

#[tokio::test]
async fn the_queue_of_a_webhook_that_is_gone_is_closed_and_what_it_holds_is_there_when_it_comes_back() {
    let state = tempfile::tempdir().unwrap();
    let site = Site::new(&state);
    let (a, b) = (site.config("a", QUEUED), site.config("b", QUEUED));
    site.follow(&[a.clone(), b.clone()]).await.unwrap();
    assert_eq!(site.names(), ["crm/a", "crm/b"]);
    let webhook = webhook_of(&a);
    assert_eq!(site.queues.append(&webhook, update(1)).await, Ok(Appended::Stored));
    assert_eq!((site.waiting("crm/a").await, site.waiting("crm/b").await), (Ok(1), Ok(0)));
    site.follow(std::slice::from_ref(&b)).await.unwrap();
    assert_eq!(site.names(), ["crm/b"]);
    assert_eq!(site.waiting("crm/a").await, Err(QueueError::Closed));
    site.follow(&[a, b]).await.unwrap();
    assert_eq!(site.waiting("crm/a").await, Ok(1));
    assert_eq!(site.queues.append(&webhook, update(1)).await, Ok(Appended::Duplicate));
}

#[tokio::test]
async fn a_new_version_is_taken_over_and_only_another_backend_is_opened_anew() {
    let state = tempfile::tempdir().unwrap();
    let site = Site::new(&state);
    let mut config = site.config("a", QUEUED);
    let webhook = webhook_of(&config);
    site.follow(&[config.clone()]).await.unwrap();
    let first = site.queues.find(webhook.bot_id).unwrap();
    assert_eq!(site.queues.append(&webhook, update(1)).await, Ok(Appended::Stored));
    config.webhook = "crm/other".to_owned();
    site.follow(&[config.clone()]).await.unwrap();
    assert_eq!(site.names(), ["crm/other"]);
    assert!(Arc::ptr_eq(&first, &site.queues.find(webhook.bot_id).unwrap()));
    config.delivery.backend = Backend::Embedded { max_bytes: 128 << 20 };
    site.follow(&[config]).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &site.queues.find(webhook.bot_id).unwrap()));
    assert_eq!(site.waiting("crm/other").await, Ok(1));
}

#[tokio::test]
async fn where_nothing_is_stored_any_more_what_is_left_is_delivered_still() {
    let (state, unused) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = Site::new(&state);
    let config = site.config("a", QUEUED);
    site.follow(std::slice::from_ref(&config)).await.unwrap();
    assert_eq!(site.queues.append(&webhook_of(&config), update(1)).await, Ok(Appended::Stored));
    site.queues.close_all().await;
    assert_eq!(site.names(), [""; 0]);
    for (state, names) in [(&state, &["crm/a"][..]), (&unused, &[])] {
        let site = Site::new(state);
        site.follow(&[site.config("a", SYNCHRONOUS)]).await.unwrap();
        assert_eq!(site.names(), names);
    }
}

#[tokio::test]
async fn with_a_queue_that_can_not_be_opened_or_is_broken_it_is_not_ready() {
    let state = tempfile::tempdir().unwrap();
    let site = Site::new(&state);
    let config = site.config("a", QUEUED);
    fs::write(state.path().join(webhook_of(&config).bot_id.to_string()), "").unwrap();
    assert_eq!(site.readiness.check(), Ok(()));
    site.follow(&[config, site.config("b", QUEUED)]).await.unwrap_err();
    assert_eq!(site.readiness.check(), Err(BROKEN));
    assert_eq!(site.names(), ["crm/b"], "the others go on");

    let site = Site::new(&state);
    site.queues.note(&Err::<(), _>(QueueError::Full(String::new())));
    assert_eq!(site.readiness.check(), Ok(()));
    site.queues.note(&Err::<(), _>(QueueError::Broken(String::new())));
    assert_eq!(site.readiness.check(), Err(BROKEN));
}
