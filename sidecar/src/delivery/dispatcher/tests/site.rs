//! A dispatcher between a queue in memory and a CRM that does as it is told.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::SystemTime,
};

use http::StatusCode;
use telegram_webhook_sidecar_config::WebhookConfig;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    super::*,
    memory::{InMemory, Memory},
};
use crate::{
    delivery::RetryAfter,
    test_util::{policy, raw_config},
};

/// How long the CRM takes.
pub(super) const TAKES: Duration = Duration::from_millis(10);
pub(super) const GRACE: Duration = Duration::from_secs(20);

type Answer = Result<(), DeliveryError>;

/// A CRM that answers by the id of the update.
#[derive(Clone)]
pub(super) struct Crm {
    shared: Arc<Mutex<State>>,
}

pub(super) struct State {
    answer: Box<dyn FnMut(i64) -> Answer + Send>,
    /// Ids of all that was asked, with when, and how often as it was told.
    pub(super) asked: Vec<(Instant, i64, u32)>,
    /// Which version each was asked by: its concurrency.
    pub(super) versions: Vec<usize>,
    /// Ids of what it accepted.
    pub(super) accepted: Vec<i64>,
    under_way: BTreeMap<i64, usize>,
    /// Most at the same time.
    pub(super) most: usize,
}

/// The running whole.
pub(super) struct Site<const SHARED: bool = false> {
    pub(super) queue: InMemory<SHARED>,
    pub(super) crm: Crm,
    pub(super) config: watch::Sender<Arc<Webhook>>,
    pub(super) settlements: Settlements,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

pub(super) fn webhook(change: impl FnOnce(&mut WebhookConfig)) -> Arc<Webhook> {
    let mut config = raw_config("a");
    change(&mut config);
    Arc::clone(&policy(&[config]).load().webhooks()[0])
}

pub(super) fn status(status: u16) -> DeliveryError {
    DeliveryError::Status { status: StatusCode::from_u16(status).unwrap(), retry_after: None }
}

pub(super) fn status_asking(code: u16, seconds: u64) -> DeliveryError {
    let retry_after = Some(RetryAfter::In(Duration::from_secs(seconds)));
    DeliveryError::Status { status: StatusCode::from_u16(code).unwrap(), retry_after }
}

// === impl Crm ===

impl Crm {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap()
    }

    pub(super) fn answers(&self, answer: impl FnMut(i64) -> Answer + Send + 'static) {
        self.state().answer = Box::new(answer);
    }

    pub(super) fn accepted(&self) -> Vec<i64> {
        self.state().accepted.clone()
    }

    /// When an update was asked about, since `start`, in whole milliseconds.
    pub(super) fn times_of(&self, id: i64, start: Instant) -> Vec<u128> {
        let state = self.state();
        let times = state.asked.iter().filter(|(_, asked, _)| *asked == id);
        times.map(|(at, ..)| (*at - start).as_millis()).collect()
    }
}

impl Recipient for Crm {
    async fn attempt(&self, webhook: &Webhook, update: &Update, attempt: u32) -> Answer {
        let id = update.update_id.unwrap();
        let lane = update.lane.id;
        {
            let mut state = self.state();
            state.asked.push((Instant::now(), id, attempt));
            state.versions.push(webhook.delivery.concurrency);
            let of_lane = state.under_way.entry(lane).or_default();
            *of_lane += 1;
            assert_eq!(*of_lane, 1, "two of a lane at the same time");
            state.most = state.under_way.values().sum::<usize>().max(state.most);
        }
        sleep(TAKES).await;
        let mut state = self.state();
        state.under_way.remove(&lane);
        let answer = (state.answer)(id);
        if answer.is_ok() {
            state.accepted.push(id);
        }
        answer
    }
}

// === impl Site ===

impl Site {
    pub(super) fn new(change: impl FnOnce(&mut WebhookConfig)) -> Self {
        Self::with_queue(Memory::default(), change)
    }
}

impl<const SHARED: bool> Site<SHARED> {
    /// Of a queue that holds something.
    pub(super) fn with_queue(queue: InMemory<SHARED>, change: impl FnOnce(&mut WebhookConfig)) -> Self {
        let crm = Crm {
            shared: Arc::new(Mutex::new(State {
                answer: Box::new(|_| Ok(())),
                asked: Vec::new(),
                versions: Vec::new(),
                accepted: Vec::new(),
                under_way: BTreeMap::new(),
                most: 0,
            })),
        };
        let (config, receiver) = watch::channel(webhook(change));
        let (settlements, metrics, stop) = (Settlements::default(), Metrics::new(), CancellationToken::new());
        let clock = Clock::at(SystemTime::UNIX_EPOCH + Duration::from_hours(1000));
        let dispatcher = Dispatcher {
            breaker: watch::Sender::new(BreakerState::Closed),
            queue: Arc::new(queue.clone()),
            crm: crm.clone(),
            webhook: receiver,
            metrics: metrics.clone(),
            clock,
            // waits are half of what they may be
            random: Random::of(|| u32::MAX / 2),
            settlements: settlements.clone(),
        };
        let task = tokio::spawn(dispatcher.run(stop.clone(), GRACE));
        Self { queue, crm, config, settlements, metrics, clock, stop, task }
    }

    /// Waits until something is so, for as long as that may take.
    pub(super) async fn until(&self, within: Duration, mut so: impl FnMut(&Self) -> bool) {
        let waited = timeout(within, async {
            while !so(self) {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(waited.await.is_ok(), "not within {within:?}");
    }

    /// Waits until nothing is left in the queue.
    pub(super) async fn emptied(&self, within: Duration) {
        self.until(within, |site| site.queue.len() == 0).await;
    }

    /// Stops it; the answer is how long that took.
    pub(super) async fn stop(self) -> (InMemory<SHARED>, Crm, Duration) {
        let started = Instant::now();
        self.stop.cancel();
        self.task.await.unwrap();
        (self.queue, self.crm, started.elapsed())
    }

    /// Waits until it ends by itself.
    pub(super) async fn ended(self) {
        timeout(GRACE, self.task).await.expect("it goes on").unwrap();
    }

    pub(super) fn has(&self, series: &str) -> bool {
        let text = self.metrics.encode().unwrap();
        text.lines().any(|line| line.strip_prefix("telegram_webhook_sidecar_") == Some(series))
    }
}
