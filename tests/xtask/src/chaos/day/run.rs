//! The day from its morning to the evening, in which the CRM is back.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use telegram_webhook_load::client::Target;
use telegram_webhook_sidecar_config::Backend;
use telegram_webhook_tests::{
    cluster::target_folder,
    pki::Authority,
    sidecar::{HOST, PATH, TOKEN},
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::{
    Arguments,
    clock::Clock,
    memory::Memory,
    metrics,
    outcome::{Outcome, mib},
    telegram::{Counts, Telegram},
};
use crate::{
    chaos::{
        crm::{Crm, Mood, lock},
        dice::Dice,
        ledger::Ledger,
        queue::{Victim as _, run::configuration},
        sidecar::Sidecar,
    },
    progress::Progress,
};

const DAY: Duration = Duration::from_hours(24);
/// The least that passes of it at once.
const STEP: Duration = Duration::from_secs(10);
/// Updates that are written in the time that passes at once, or a few more.
const UPDATES_PER_STEP: u64 = 50;
/// Telegram closes connections that have been idle for so long.
const IDLE: Duration = Duration::from_mins(1);
/// Longer than anybody waits for what a button does.
const ANSWERED: Duration = Duration::from_mins(5);
/// The longest after which the sidecar looks whether the CRM is back.
const BREAK: Duration = Duration::from_secs(30);
/// Nothing arrives for so long: nothing will.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// Between two lines of progress.
const REPORT: Duration = Duration::from_secs(5);
/// Updates that the sidecar has in hand at most. Of so many a kill may hide that they expired, or show it twice.
const IN_HAND: u64 = 32;

/// Everything of a run.
pub struct Run {
    sidecar: Sidecar,
    clock: Clock,
    memory: Memory,
    crm: Crm,
    telegram: Telegram,
    counts: Arc<Counts>,
    ledger: Arc<Mutex<Ledger>>,
    updates: u64,
    kills: u64,
    /// Seen by those that were killed.
    expired: u64,
    _folder: TempDir,
}

// === impl Run ===

impl Run {
    pub async fn start(binary: PathBuf, arguments: &Arguments, seed: u64) -> anyhow::Result<Self> {
        let mut dice = Dice::new(seed);
        let ledger = Arc::new(Mutex::new(Ledger::new(true)));
        let mut crm = Crm::open(dice.fork(), Arc::clone(&ledger))?;
        crm.set_mood(Mood::Gone).await?;
        // not where temporary files are: that may be memory
        let folder = tempfile::tempdir_in(target_folder()?)?;
        let state = folder.path().join("state");
        fs::create_dir_all(&state)?;
        let authority = Authority::new()?;
        let trusted = folder.path().join("ca.crt");
        fs::write(&trusted, authority.pem())?;
        let config = configuration(&authority.issue(HOST)?, crm.address().port(), Backend::default())?;
        let clock = Clock::new(folder.path())?;
        let mut sidecar = Sidecar::new(binary, config, state);
        sidecar.set_environment(clock.environment());
        sidecar.start().await?;
        let address = sidecar.address();
        let target = Target {
            address: address.borrow().context("the sidecar doesn't listen")?,
            host: HOST.to_owned(),
            authority: trusted,
            path: PATH.to_owned(),
            token: TOKEN.to_owned(),
        };
        let Arguments { updates, chats, kills, .. } = *arguments;
        let telegram = Telegram::new(target, address, &ledger, chats, dice)?;
        let (memory, counts) = (Memory::new(), telegram.counts());
        let mut run = Self {
            sidecar,
            clock,
            memory,
            crm,
            telegram,
            counts,
            ledger,
            updates,
            kills,
            expired: 0,
            _folder: folder,
        };
        run.follow();
        Ok(run)
    }

    /// From morning to evening nobody is there to take an update.
    pub async fn day(&mut self, progress: &Progress) -> anyhow::Result<()> {
        let longest = u32::try_from(DAY.as_secs() / STEP.as_secs())?;
        let steps = u32::try_from(self.updates / UPDATES_PER_STEP)?.clamp(1, longest);
        let step = DAY / steps;
        let kills: BTreeSet<_> =
            (1..=self.kills).map(|kill| u64::from(steps) * kill / (self.kills + 1)).collect();
        let mut report = Instant::now() + REPORT;
        for number in 1..=steps {
            self.clock.put_on(step)?;
            let until = self.updates * u64::from(number) / u64::from(steps);
            self.telegram.write(until, step * (steps - number) > ANSWERED)?;
            if kills.contains(&u64::from(number)) {
                self.kill_meanwhile(progress).await?;
            } else {
                self.telegram.hand_over().await?;
            }
            if step >= IDLE {
                self.telegram.rest().await;
            }
            self.sidecar.ensure_well()?;
            if Instant::now() >= report {
                report += REPORT;
                progress.say(&format!("{:.1} h of the day are over: {}", hours(step * number), self.state()));
            }
        }
        progress.say(&format!("the day is over: {}", self.state()));
        Ok(())
    }

    /// Kills the sidecar while updates are handed over, and starts it again.
    async fn kill_meanwhile(&mut self, progress: &Progress) -> anyhow::Result<()> {
        self.expired += metrics::expired(self.sidecar.admin()?).await?;
        let before = self.counts.pending();
        let Self { telegram, sidecar, memory, counts, .. } = self;
        let killed = async {
            while counts.pending() == before {
                sleep(Duration::from_micros(500)).await;
            }
            memory.follow(sidecar.pid());
            sidecar.kill().await?;
            sidecar.start().await
        };
        let (handed_over, killed) = tokio::join!(telegram.hand_over(), killed);
        killed.and(handed_over)?;
        self.follow();
        let started = self.sidecar.starts().last().copied().unwrap_or_default();
        let waiting = lock(&self.ledger).waiting();
        let peak = self.memory.peak_of_process();
        progress.say(&format!(
            "killed, and started again in {} ms with {waiting} messages waiting, for which it took {} at most",
            started.as_millis(),
            mib(peak)
        ));
        Ok(())
    }

    /// Another process is the sidecar now.
    fn follow(&mut self) {
        let pid = self.sidecar.pid();
        self.clock.shown_to(pid);
        self.memory.follow(pid);
    }

    /// The CRM is back: everything has to arrive that is of use, and nothing else.
    pub async fn evening(&mut self, progress: &Progress) -> anyhow::Result<Outcome> {
        self.crm.set_mood(Mood::Well).await?;
        self.clock.put_on(BREAK)?;
        let begun = Instant::now();
        self.everything_arrives(progress).await?;
        progress.say(&format!("all has arrived in {} s", begun.elapsed().as_secs()));
        let buttons = self.counts.buttons();
        let expired_unsure = IN_HAND * self.kills;
        let all_expired = async {
            loop {
                let expired = self.expired + metrics::expired(self.sidecar.admin()?).await?;
                if expired + expired_unsure >= buttons {
                    return anyhow::Ok(expired);
                }
                sleep(PAUSE).await;
            }
        };
        let expired =
            timeout(PATIENCE, all_expired).await.context("buttons pressed long ago still wait")??;
        Ok(Outcome {
            verdict: lock(&self.ledger).verdict(),
            buttons,
            expired,
            expired_unsure,
            most_pending: self.counts.most_pending(),
            refusals: self.counts.refusals()?,
            peak_kib: self.memory.peak(),
        })
    }

    async fn everything_arrives(&mut self, progress: &Progress) -> anyhow::Result<()> {
        let (mut least, mut since) = (usize::MAX, Instant::now());
        let mut report = Instant::now() + REPORT;
        loop {
            let waiting = lock(&self.ledger).waiting();
            if waiting == 0 {
                return Ok(());
            }
            if waiting < least {
                (least, since) = (waiting, Instant::now());
            }
            ensure!(since.elapsed() < PATIENCE, "{waiting} messages don't arrive");
            if Instant::now() >= report {
                report += REPORT;
                progress.say(&format!("the CRM is back: {}", self.state()));
            }
            self.sidecar.ensure_well()?;
            sleep(PAUSE).await;
        }
    }

    /// For people.
    fn state(&self) -> String {
        let waiting = lock(&self.ledger).waiting();
        let (pending, most) = (self.counts.pending(), self.counts.most_pending());
        format!(
            "{waiting} messages wait at the sidecar, {pending} updates at Telegram (at most {most}); memory {}, at most {}",
            mib(self.memory.now()),
            mib(self.memory.peak())
        )
    }

    /// What the sidecar said last.
    pub fn last_words(&self) -> String {
        self.sidecar.last_words()
    }
}

fn hours(time: Duration) -> f64 {
    time.as_secs_f64() / 3600.0
}
