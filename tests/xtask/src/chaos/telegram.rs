//! Telegram's side of a run: many chats, of each one update at a time, the next one only after the 200 to the one before; what is
//! refused or not answered is sent again, the same bytes. And now and then, by mistake, what was acknowledged before.

mod sender;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use telegram_webhook_load::client::{Connector, Target};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use self::sender::Sender;
use super::{crm::lock, dice::Dice, ledger::Ledger};

/// Connections, each for its share of the chats.
const CONNECTIONS: u64 = 16;
/// Ids as Telegram has them.
const FIRST_UPDATE: u64 = 500_000_000;
const FIRST_CHAT: u64 = 1_000_000_000;
/// One in so many updates is sent once more.
const COPIES: u64 = 20;
/// Updates since which a copy is recognized for sure: the sidecar promises more, for a bot.
const REMEMBERED: usize = 50_000;
/// Until what is under way has its 200; all is well by then.
const PATIENCE: Duration = Duration::from_mins(2);

/// An update that Telegram has, by its id, and its chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    pub id: u64,
    pub chat: u64,
}

/// Sends until told to finish.
pub struct Telegram {
    shared: Arc<Shared>,
    chats: u64,
    workers: JoinSet<()>,
}

struct Shared {
    target: Target,
    connector: Connector,
    address: watch::Receiver<Option<SocketAddr>>,
    ledger: Arc<Mutex<Ledger>>,
    next_update: AtomicU64,
    finishing: AtomicBool,
    /// In the order of their acknowledgements.
    acknowledged: Mutex<Vec<Update>>,
    copies: AtomicU64,
    /// Answers other than 200.
    refusals: Mutex<BTreeMap<u16, u64>>,
}

/// The updates of some chats over one connection.
struct Worker {
    sender: Sender,
    dice: Dice,
    /// With the update that has no 200 yet.
    chats: Vec<(u64, Option<Update>)>,
}

// === impl Telegram ===

impl Telegram {
    /// Begins to send so many updates a second, as far as there are answers.
    pub fn start(
        target: Target,
        address: watch::Receiver<Option<SocketAddr>>,
        ledger: Arc<Mutex<Ledger>>,
        chats: u64,
        rate: u64,
        dice: &mut Dice,
    ) -> anyhow::Result<Self> {
        let connector = Connector::new(&target)?;
        let shared = Arc::new(Shared {
            target,
            connector,
            address,
            ledger,
            next_update: AtomicU64::new(FIRST_UPDATE),
            finishing: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            copies: AtomicU64::default(),
            refusals: Mutex::default(),
        });
        let pace = Duration::from_secs(1) * u32::try_from(CONNECTIONS)? / u32::try_from(rate.max(1))?;
        let mut workers = JoinSet::new();
        for number in 0..CONNECTIONS {
            let chats = (number..chats).step_by(usize::try_from(CONNECTIONS)?);
            let worker = Worker {
                sender: Sender::new(Arc::clone(&shared)),
                dice: dice.fork(),
                chats: chats.map(|chat| (FIRST_CHAT + chat, None)).collect(),
            };
            workers.spawn(worker.run(pace));
        }
        Ok(Self { shared, chats, workers })
    }

    /// Begins nothing new, and waits until all that was begun has its 200.
    pub async fn finish(&mut self) -> anyhow::Result<()> {
        self.shared.finishing.store(true, Ordering::Relaxed);
        let ended = async {
            while let Some(worker) = self.workers.join_next().await {
                worker?;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, ended).await.context("some updates are refused again and again")?
    }

    /// Sends a new update of each chat.
    pub async fn one_more_of_each_chat(&self) -> anyhow::Result<()> {
        let updates = (0..self.chats).map(|chat| self.shared.new_update(FIRST_CHAT + chat));
        self.send(&updates.collect::<Vec<_>>()).await
    }

    /// Sends these, each until it is accepted.
    pub async fn send(&self, updates: &[Update]) -> anyhow::Result<()> {
        let mut sender = Sender::new(Arc::clone(&self.shared));
        let sent = async {
            for update in updates {
                while !sender.send(*update).await {}
            }
        };
        timeout(PATIENCE, sent).await.context("an update is refused again and again")
    }

    /// Some of the updates that it must still be known of that they were accepted.
    pub fn some_acknowledged(&self, count: usize, dice: &mut Dice) -> Vec<Update> {
        let acknowledged = lock(&self.shared.acknowledged);
        let known = acknowledged.get(acknowledged.len().saturating_sub(REMEMBERED)..).unwrap_or_default();
        (0..count).filter_map(|_| dice.pick(known).copied()).collect()
    }

    pub fn copies(&self) -> u64 {
        self.shared.copies.load(Ordering::Relaxed)
    }

    /// Answers other than 200; fails where one is none that a genuine update may get.
    pub fn refusals(&self) -> anyhow::Result<BTreeMap<u16, u64>> {
        let refusals = lock(&self.shared.refusals).clone();
        ensure!(refusals.keys().all(|status| *status == 503), "genuine updates were refused: {refusals:?}");
        Ok(refusals)
    }
}

// === impl Shared ===

impl Shared {
    fn new_update(&self, chat: u64) -> Update {
        Update { id: self.next_update.fetch_add(1, Ordering::Relaxed), chat }
    }
}

// === impl Worker ===

impl Worker {
    async fn run(mut self, pace: Duration) {
        let mut due = interval(pace);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0;
        while !self.is_done() {
            due.tick().await;
            turn += 1;
            self.send_one(turn).await;
            if self.dice.once_in(COPIES) {
                self.send_a_copy().await;
            }
        }
    }

    fn is_done(&self) -> bool {
        let finishing = self.sender.shared.finishing.load(Ordering::Relaxed);
        finishing && self.chats.iter().all(|(_, pending)| pending.is_none())
    }

    /// The next update of the chat whose turn it is, or again the one before.
    async fn send_one(&mut self, turn: usize) {
        let count = self.chats.len().max(1);
        let Some((chat, pending)) = self.chats.get_mut(turn % count) else { return };
        let shared = &self.sender.shared;
        let update = match *pending {
            Some(update) => update,
            None if shared.finishing.load(Ordering::Relaxed) => return,
            None => shared.new_update(*chat),
        };
        *pending = (!self.sender.send(update).await).then_some(update);
    }

    /// As when an answer had got lost on the way.
    async fn send_a_copy(&mut self) {
        let shared = &self.sender.shared;
        let copy = {
            let acknowledged = lock(&shared.acknowledged);
            let recent = acknowledged.len().saturating_sub(REMEMBERED);
            self.dice.pick(acknowledged.get(recent..).unwrap_or_default()).copied()
        };
        if let Some(update) = copy {
            shared.copies.fetch_add(1, Ordering::Relaxed);
            self.sender.send(update).await;
        }
    }
}
