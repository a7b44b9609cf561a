//! Telegram's side of a day: who writes to the bot when, and handing it over, of each chat one update at a time.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use telegram_webhook_load::{
    client::{Connection, Connector, Target},
    update,
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::chaos::{crm::lock, dice::Dice, ledger::Ledger};

/// Connections, each for its share of the chats.
const CONNECTIONS: u64 = 16;
/// Ids as Telegram has them.
const FIRST_UPDATE: u64 = 500_000_000;
const FIRST_CHAT: u64 = 1_000_000_000;
/// One in so many updates is a pressed button.
const BUTTONS: u64 = 20;
/// What takes longer counts as not answered. Telegram has a minute.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until all that was handed over has its 200.
const LONGEST: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, Debug)]
struct Update {
    id: u64,
    chat: u64,
    is_button: bool,
}

/// Hands over all updates of a day, as they are written.
pub struct Telegram {
    /// Each at the place of its number.
    lines: Vec<Line>,
    counts: Arc<Counts>,
    dice: Dice,
    chats: u64,
    written: u64,
}

/// What became of the updates so far.
#[derive(Default)]
pub struct Counts {
    /// Written, and not acknowledged; and the most that these ever were.
    pending: AtomicU64,
    most_pending: AtomicU64,
    /// Pressed buttons that were acknowledged.
    buttons: AtomicU64,
    /// Answers other than 200.
    refusals: Mutex<BTreeMap<u16, u64>>,
}

/// Where all of it goes.
struct Sidecar {
    target: Target,
    connector: Connector,
    address: watch::Receiver<Option<SocketAddr>>,
}

/// One connection at a time, for its share of the chats.
struct Line {
    number: u64,
    sidecar: Arc<Sidecar>,
    ledger: Arc<Mutex<Ledger>>,
    counts: Arc<Counts>,
    connection: Option<Connection>,
    updates: Vec<Update>,
}

// === impl Telegram ===

impl Telegram {
    pub fn new(
        target: Target,
        address: watch::Receiver<Option<SocketAddr>>,
        ledger: &Arc<Mutex<Ledger>>,
        chats: u64,
        dice: Dice,
    ) -> anyhow::Result<Self> {
        let connector = Connector::new(&target)?;
        let sidecar = Arc::new(Sidecar { target, connector, address });
        let counts = Arc::<Counts>::default();
        let line = |number| Line {
            number,
            sidecar: Arc::clone(&sidecar),
            ledger: Arc::clone(ledger),
            counts: Arc::clone(&counts),
            connection: None,
            updates: Vec::new(),
        };
        Ok(Self { lines: (0..CONNECTIONS).map(line).collect(), counts, dice, chats, written: 0 })
    }

    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// People write to the bot until there are so many updates of the day; some press buttons, where they may.
    pub fn write(&mut self, until: u64, may_press: bool) -> anyhow::Result<()> {
        while self.written < until {
            let chat = FIRST_CHAT + self.dice.below(self.chats);
            let is_button = self.dice.once_in(BUTTONS) && may_press;
            let line = self.lines.get_mut(usize::try_from(chat % CONNECTIONS)?);
            let line = line.context("a line is still busy")?;
            line.updates.push(Update { id: FIRST_UPDATE + self.written, chat, is_button });
            self.written += 1;
            let pending = self.counts.pending.fetch_add(1, Ordering::Relaxed) + 1;
            self.counts.most_pending.fetch_max(pending, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Hands over what was written, and waits until all of it has its 200.
    pub async fn hand_over(&mut self) -> anyhow::Result<()> {
        let all = std::mem::take(&mut self.lines);
        let (busy, idle): (Vec<_>, _) = all.into_iter().partition(|line| !line.updates.is_empty());
        self.lines = idle;
        let mut sending: JoinSet<_> = busy.into_iter().map(Line::hand_over).collect();
        let sent = async {
            while let Some(line) = sending.join_next().await {
                self.lines.push(line?);
            }
            anyhow::Ok(())
        };
        timeout(LONGEST, sent).await.context("some updates are refused again and again")??;
        self.lines.sort_by_key(|line| line.number);
        Ok(())
    }

    /// Ends its connections, as Telegram does when they have been idle for a minute.
    pub async fn rest(&mut self) {
        for line in &mut self.lines {
            if let Some(connection) = line.connection.take() {
                connection.close().await;
            }
        }
    }
}

// === impl Counts ===

impl Counts {
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    pub fn most_pending(&self) -> u64 {
        self.most_pending.load(Ordering::Relaxed)
    }

    pub fn buttons(&self) -> u64 {
        self.buttons.load(Ordering::Relaxed)
    }

    /// Answers other than 200; fails where one is none that a genuine update may get.
    pub fn refusals(&self) -> anyhow::Result<u64> {
        let refusals = lock(&self.refusals).clone();
        ensure!(refusals.keys().all(|status| *status == 503), "genuine updates were refused: {refusals:?}");
        Ok(refusals.values().sum())
    }
}

// === impl Line ===

impl Line {
    /// One after the other, each until it is acknowledged.
    async fn hand_over(mut self) -> Self {
        for update in std::mem::take(&mut self.updates) {
            while !self.send(update).await {}
            if update.is_button {
                self.counts.buttons.fetch_add(1, Ordering::Relaxed);
            } else {
                lock(&self.ledger).acknowledged(update.id);
            }
            self.counts.pending.fetch_sub(1, Ordering::Relaxed);
        }
        self
    }

    /// Once; whether it is acknowledged. Waits until there is somebody to send it to.
    async fn send(&mut self, update: Update) -> bool {
        // the sender is gone when the run has failed
        if self.sidecar.address.clone().wait_for(Option::is_some).await.is_err() {
            return std::future::pending().await;
        }
        let status = timeout(PATIENCE, self.ask(update)).await.ok().flatten();
        match status {
            Some(200) => return true,
            Some(other) => *lock(&self.counts.refusals).entry(other).or_default() += 1,
            None => self.connection = None,
        }
        false
    }

    async fn ask(&mut self, update: Update) -> Option<u16> {
        let Sidecar { target, connector, address } = &*self.sidecar;
        let mut connection = if let Some(open) = self.connection.take() {
            open
        } else {
            let address = (*address.borrow())?;
            connector.at(address).open(Ipv4Addr::LOCALHOST.into()).await.ok()?
        };
        let Update { id, chat, is_button } = update;
        let body = if is_button { update::pressed(id, chat) } else { update::body(id, chat) };
        let status = connection.ask(&update::request_with(target, &body, "")).await.ok()?;
        self.connection = Some(connection);
        Some(status)
    }
}
