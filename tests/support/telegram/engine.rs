//! The delivery engine of one webhook (reference/telegram.md section 3): loads updates into lanes, opens connections,
//! sends, and acts on the answers. One task, plus one per connection; all end with the webhook.

mod connections;
mod outcome;

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use super::{
    bot::Bot,
    connection::{Report, Request},
    growth::Growth,
    lanes::{Lanes, Next},
    network::Target,
    queue::Event,
    record::Outcome,
    request,
    resolver::AddressError,
    webhook_url::WebhookUrl,
};

/// A 410 ends the webhook when the first of an unbroken series is older.
const GONE_FOR: Duration = Duration::from_hours(23);

/// A running engine; ends when dropped.
pub struct EngineHandle {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl EngineHandle {
    /// Cuts all connections. No request is sent after this returns.
    pub async fn stop(self) {
        drop(self.stop);
        // an engine that panicked has ended too
        self.task.await.ok();
    }
}

/// What an engine needs to know of its webhook.
pub struct Setup {
    pub generation: u64,
    pub url: WebhookUrl,
    pub secret_token: String,
    pub max_connections: u32,
    pub address: IpAddr,
    /// Never look the name up again.
    pub fixed_address: bool,
    pub target: Target,
    /// Whether an earlier engine had verified it.
    pub verified: bool,
}

struct Engine {
    bot: Arc<Bot>,
    setup: Setup,
    lanes: Lanes,
    /// First number not yet read from the queue.
    read_from: i64,
    queue_empty: bool,
    growth: Growth,
    connections: HashMap<u64, Connection>,
    /// Connections without a request, longest idle first.
    idle: VecDeque<u64>,
    last_connection: u64,
    address_generation: u64,
    resolve_at: Instant,
    first_gone: Option<Instant>,
    verified: bool,
    on_verified: Option<oneshot::Sender<()>>,
    wake_at: Option<Instant>,
    tasks: JoinSet<()>,
    reports: mpsc::UnboundedSender<(u64, Report)>,
    resolved: mpsc::UnboundedSender<Result<IpAddr, AddressError>>,
    closed: bool,
}

struct Connection {
    requests: mpsc::Sender<Request>,
    address_generation: u64,
    in_flight: Option<InFlight>,
}

struct InFlight {
    lane: i64,
    update_id: i64,
}

/// Starts the engine; the receiver hears when the webhook counts as verified, that is when its first connection is begun.
pub fn start(bot: Arc<Bot>, setup: Setup) -> (EngineHandle, oneshot::Receiver<()>) {
    let (stop, stopped) = oneshot::channel();
    let (on_verified, verified) = oneshot::channel();
    let task = tokio::spawn(run(bot, setup, on_verified, stopped));
    (EngineHandle { stop, task }, verified)
}

async fn run(
    bot: Arc<Bot>,
    setup: Setup,
    on_verified: oneshot::Sender<()>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut queued = bot.queued.subscribe();
    let (reports, mut reported) = mpsc::unbounded_channel();
    let (resolved, mut resolutions) = mpsc::unbounded_channel();
    let now = Instant::now();
    let mut engine = Engine {
        bot,
        lanes: Lanes::new(setup.max_connections as usize * 2),
        read_from: 0,
        queue_empty: false,
        growth: Growth::new(now),
        connections: HashMap::new(),
        idle: VecDeque::new(),
        last_connection: 0,
        address_generation: 0,
        resolve_at: now + connections::resolve_again(),
        first_gone: None,
        verified: setup.verified,
        on_verified: Some(on_verified),
        wake_at: None,
        tasks: JoinSet::new(),
        reports,
        resolved,
        closed: false,
        setup,
    };
    while !engine.closed {
        engine.turn();
        let wake_at = engine.wake_at.unwrap_or_else(|| Instant::now() + Duration::from_hours(1));
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some((connection, report)) = reported.recv() => engine.on_report(connection, report),
            Some(resolution) = resolutions.recv() => engine.on_resolved(resolution),
            // the sender lives in the bot, which the engine holds
            _ = queued.changed() => engine.queue_empty = false,
            () = sleep_until(wake_at) => {}
        }
    }
    engine.tasks.shutdown().await;
}

impl Engine {
    fn turn(&mut self) {
        self.wake_at = None;
        self.load();
        self.resolve();
        self.open_connections();
        self.send();
    }

    fn wake(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Reads updates until the window is full of lanes or the queue is empty.
    fn load(&mut self) {
        while !self.queue_empty && self.lanes.room() > 0 {
            let now = self.bot.server.clock.unix();
            let events = {
                let mut state = self.bot.lock();
                let (events, expired) = state.queue.read(self.read_from, self.lanes.room(), now);
                state.record.ended(expired, Outcome::Dropped);
                events
            };
            self.queue_empty = events.is_empty();
            for event in events {
                self.read_from = event.id + 1;
                self.lanes.load(event, Instant::now());
            }
        }
    }

    /// Hands waiting updates to idle connections.
    fn send(&mut self) {
        // finished connection tasks
        while self.tasks.try_join_next().is_some() {}
        if self.bot.lock().paused {
            return;
        }
        while let Some(&connection) = self.idle.front() {
            match self.lanes.take_next(Instant::now()) {
                Next::Ready(lane, event) => {
                    let length = event.body.len();
                    let Some(head) = request::head(&self.setup.url, &self.setup.secret_token, length) else {
                        // as the real one: the lane hangs from here on and nobody is told
                        return;
                    };
                    self.idle.pop_front();
                    self.send_update(connection, lane, &event, &head);
                }
                Next::Later(at) => return self.wake(at),
                Next::Nothing => return,
            }
        }
    }

    fn send_update(&mut self, id: u64, lane: i64, event: &Event, head: &[u8]) {
        let mut bytes = BytesMut::with_capacity(head.len() + event.body.len());
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(&event.body);
        let fault = {
            let now = self.bot.server.clock.unix();
            let mut state = self.bot.lock();
            state.record.sent(event.id, id, now);
            (!state.delivery_faults.is_empty()).then(|| state.delivery_faults.remove(0))
        };
        let request = Request { bytes: bytes.freeze(), fault };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.in_flight = Some(InFlight { lane, update_id: event.id });
            // a connection that has just ended reports it, and with that the update's failure
            connection.requests.try_send(request).ok();
        }
    }
}
