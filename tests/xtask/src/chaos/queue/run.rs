//! One run: what there is, what happens to it, and how it ends.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use telegram_webhook_load::client::Target;
use telegram_webhook_sidecar_config::{
    Backend, Delivery, DeliveryMode, Limits, Rate, WebhookConfig, bounds::QUEUE_BYTES,
};
use telegram_webhook_tests::{
    cluster::target_folder,
    pki::{Authority, Leaf},
    sidecar::{ConfigFolder, HOST, NAME, PATH, TOKEN, config},
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Arguments, Victim, plan::Plan};
use crate::{
    chaos::{
        crm::{Crm, Mood, lock},
        dice::Dice,
        disk::Disk,
        ledger::{Ledger, Verdict},
        sidecar::{DidNotStart, Sidecar},
        telegram::Telegram,
    },
    progress::Progress,
};

/// Counted, never refused.
const UNLIMITED: Rate = Rate { requests: 1_000_000, window_seconds: 1 };
/// Between two lines of progress.
const REPORT: Duration = Duration::from_secs(10);
/// All is well, and nothing arrives for so long: nothing will.
const PATIENCE: Duration = Duration::from_mins(1);
/// Updates that count as much: by then everybody delivers.
const MUCH: usize = 200;
/// Between two looks at the ledger.
const LOOK: Duration = Duration::from_millis(20);
/// Copies that are sent at the end.
const COPIES: usize = 500;
/// Where a start that failed on a full disk is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// Everything of a run.
pub struct Run {
    sidecar: Sidecar,
    crm: Crm,
    telegram: Telegram,
    ledger: Arc<Mutex<Ledger>>,
    plan: Plan,
    /// What is killed in turn with the sidecar.
    others: Vec<Box<dyn Victim>>,
    killed: u64,
    disk: Option<Disk>,
    _folder: TempDir,
}

// === impl Run ===

impl Run {
    pub async fn start(binary: PathBuf, arguments: &Arguments, seed: u64) -> anyhow::Result<Self> {
        let mut dice = Dice::new(seed);
        let broker = arguments.backend.start().await?;
        // what is delivered while the server is away can't be settled, however well the CRM answers
        let ledger = Arc::new(Mutex::new(Ledger::new(broker.is_none())));
        let crm = Crm::open(dice.fork(), Arc::clone(&ledger))?;
        // not where temporary files are: that may be memory
        let folder = tempfile::tempdir_in(target_folder()?)?;
        let disk = if arguments.disk_full { Some(Disk::mount().await?) } else { None };
        let state = disk.as_ref().map_or_else(|| folder.path().join("state"), Disk::state);
        std::fs::create_dir_all(&state)?;
        let authority = Authority::new()?;
        let trusted = folder.path().join("ca.crt");
        std::fs::write(&trusted, authority.pem())?;
        let backend = match &broker {
            Some(broker) => broker.backend()?,
            None if arguments.disk_full => Backend::Embedded { max_bytes: *QUEUE_BYTES.start() },
            None => Backend::default(),
        };
        let config = configuration(&authority.issue(HOST)?, crm.address().port(), backend)?;
        let mut sidecar = Sidecar::new(binary, config, state);
        sidecar.start().await?;
        let address = sidecar.address();
        let target = Target {
            address: address.borrow().context("the sidecar doesn't listen")?,
            host: HOST.to_owned(),
            authority: trusted,
            path: PATH.to_owned(),
            token: TOKEN.to_owned(),
        };
        let Arguments { chats, rate, uptime_ms, partition, .. } = arguments;
        let telegram = Telegram::start(target, address, Arc::clone(&ledger), *chats, *rate, &mut dice)?;
        let plan = Plan::new(dice, uptime_ms.clone());
        let mut others: Vec<Box<dyn Victim>> = Vec::new();
        if let Some(broker) = broker {
            if *partition {
                others.push(Box::new(broker.link()));
            }
            others.push(Box::new(broker));
        }
        Ok(Self { sidecar, crm, telegram, ledger, plan, others, killed: 0, disk, _folder: folder })
    }

    /// Kills until it is enough.
    pub async fn torment(&mut self, kills: u64, progress: &Progress) -> anyhow::Result<()> {
        if !self.others.is_empty() {
            // a RabbitMQ that is killed within seconds of its first stream has it, and can't open it any more
            self.something_is_acknowledged().await?;
        }
        let mut report = Instant::now() + REPORT;
        while self.killed < kills {
            let uptime = self.plan.uptime();
            self.pass(uptime).await?;
            self.sidecar.ensure_well()?;
            match self.plan.victim(self.others.len() + 1).checked_sub(1) {
                None => {
                    self.kill().await?;
                    self.bring_back().await?;
                }
                Some(other) => self.do_without(other).await?,
            }
            if !self.others.is_empty() {
                self.something_is_acknowledged().await?;
                if self.plan.until_delivered() {
                    self.much_is_delivered().await?;
                }
            }
            if Instant::now() >= report {
                report += REPORT;
                let verdict = lock(&self.ledger).verdict();
                progress.say(&format!("{} kills, the CRM is {:?}: {verdict}", self.killed, self.crm.mood()));
            }
        }
        Ok(())
    }

    /// Lets everything run for so long, with whatever goes wrong meanwhile.
    async fn pass(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        loop {
            let disk_at = self.disk.as_ref().map_or(end, |_| self.plan.disk_at);
            let next = end.min(self.plan.mood_at).min(disk_at);
            sleep_until(next).await;
            if next >= self.plan.mood_at {
                let mood = self.plan.mood();
                self.crm.set_mood(mood).await?;
            } else if let Some(disk) = self.disk.as_mut().filter(|_| next >= self.plan.disk_at) {
                match self.plan.left_on_disk(disk.is_full()) {
                    Some(left) => disk.fill(left)?,
                    None => disk.free()?,
                }
            } else {
                return Ok(());
            }
        }
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.sidecar.kill().await?;
        self.killed += 1;
        self.crm.forget_the_dead().await
    }

    /// Kills something else, and starts it again after a while.
    async fn do_without(&mut self, other: usize) -> anyhow::Result<()> {
        self.others.get_mut(other).context("nothing to kill")?.kill().await?;
        self.killed += 1;
        let is_missed = self.others.get(other).is_some_and(|other| other.is_missed());
        let downtime = if is_missed { self.plan.cut() } else { self.plan.uptime() };
        self.pass(downtime).await?;
        self.others.get_mut(other).context("nothing to start")?.start().await
    }

    /// A server needs longer than the sidecar to be of use again. Until then there would be nothing to lose.
    async fn something_is_acknowledged(&self) -> anyhow::Result<()> {
        let before = lock(&self.ledger).verdict().acked;
        let more = async {
            while lock(&self.ledger).verdict().acked == before {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, more).await.context("nothing is acknowledged any more")
    }

    /// What was killed may hold what it had for a while; and the CRM has its moods meanwhile.
    async fn much_is_delivered(&mut self) -> anyhow::Result<()> {
        let (before, deadline) = (lock(&self.ledger).verdict().delivered, Instant::now() + PATIENCE);
        loop {
            let Verdict { delivered, lost: waiting, .. } = lock(&self.ledger).verdict();
            if delivered >= before + MUCH || waiting == 0 && delivered > before {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "little is delivered any more");
            self.pass(LOOK).await?;
        }
    }

    /// Starts the sidecar, which may be killed again while it starts.
    async fn bring_back(&mut self) -> anyhow::Result<()> {
        while let Some(after) = self.plan.interrupted_after() {
            // an end by itself shows when it is started in earnest
            timeout(after, self.sidecar.start()).await.ok();
            self.kill().await?;
        }
        while let Err(error) = self.sidecar.start().await {
            let full = self.disk.as_ref().is_some_and(Disk::is_full);
            if !(full && error.is::<DidNotStart>()) {
                return Err(error);
            }
            self.pass(AGAIN).await?;
        }
        Ok(())
    }

    /// All is well from now on: everything has to arrive, and nothing again.
    pub async fn settle(&mut self, progress: &Progress) -> anyhow::Result<Verdict> {
        if let Some(disk) = self.disk.as_mut().filter(|disk| disk.is_full()) {
            disk.free()?;
        }
        self.crm.set_mood(Mood::Well).await?;
        self.kill_and_start().await?;
        self.telegram.finish().await?;
        progress.say(&format!("all is well; {} updates wait", lock(&self.ledger).waiting()));
        if self.everything_arrives().await? {
            progress.say("copies of what was acknowledged, after another kill");
            self.copies_are_known().await?;
        }
        let starts = starts(self.sidecar.starts());
        let refusals = self.telegram.refusals()?;
        progress.say(&format!(
            "{} kills, {} copies sent, refusals {refusals:?}, {starts}",
            self.killed,
            self.telegram.copies() + COPIES as u64
        ));
        Ok(lock(&self.ledger).verdict())
    }

    async fn kill_and_start(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        self.sidecar.start().await
    }

    /// Waits until all that was acknowledged is there; false when nothing more comes.
    async fn everything_arrives(&mut self) -> anyhow::Result<bool> {
        let mut least = usize::MAX;
        let mut deadline = Instant::now() + PATIENCE;
        loop {
            let waiting = lock(&self.ledger).waiting();
            if waiting == 0 {
                return Ok(true);
            }
            if waiting < least {
                least = waiting;
                deadline = Instant::now() + PATIENCE;
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            self.sidecar.ensure_well()?;
            sleep(LOOK).await;
        }
    }

    /// Chats keep their order: what a kill brings back comes before a chat's next update, and a copy that was taken for new would come
    /// before the one after that.
    async fn copies_are_known(&mut self) -> anyhow::Result<()> {
        self.kill_and_start().await?;
        self.telegram.one_more_of_each_chat().await?;
        self.everything_arrives().await?;
        let copies = self.telegram.some_acknowledged(COPIES, self.plan.dice());
        lock(&self.ledger).forbid(copies.iter().map(|update| update.id));
        self.telegram.send(&copies).await?;
        self.telegram.one_more_of_each_chat().await?;
        self.everything_arrives().await.map(drop)
    }

    /// What the sidecar said last.
    pub fn last_words(&self) -> String {
        self.sidecar.last_words()
    }
}

/// The sidecar's, for a CRM at this port.
pub fn configuration(certificate: &Leaf, crm: u16, backend: Backend) -> anyhow::Result<ConfigFolder> {
    let config = WebhookConfig {
        limits: Limits { authenticated: UNLIMITED, ..Limits::default() },
        delivery: Delivery { mode: DeliveryMode::Queued, backend, ..Delivery::default() },
        ..config(NAME, HOST, crm)
    };
    let mut folder = ConfigFolder::new()?;
    folder.set(NAME, &config, certificate);
    folder.publish()?;
    Ok(folder)
}

/// How long the starts took, for people.
fn starts(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let millis = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    let (median, most) = (millis(times.get(times.len() / 2)), millis(times.last()));
    format!("starts took {median} ms, at most {most} ms")
}
