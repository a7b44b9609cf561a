//! Updates wait in Redis (7 or later), which several sidecars share: they store for each other, and each delivers a share.
//!
//! A bot's updates are in [`keys::STREAMS`] streams, its lanes hashed to them; all keys of a bot are on one node of a cluster, so that
//! each step is one script, which is one step for everybody else:
//!
//! 1. An update is stored if its SHA-256 isn't among those known ([`RETENTION`], [`MAX_KNOWN`]) and there is room; it is known from then on.
//! 2. A stream has one holder, who alone gives its updates out, in the order of their ids and one of a lane at a time ([`hands`]). A
//!    holder that isn't heard of for five seconds has lost it. Each time it is won it gets a new token, and giving out,
//!    settling and setting aside are refused with an old one.
//! 3. The streams are shared out evenly among the sidecars that live. Whoever has too many gives nothing more of some out, and lets
//!    them go once nothing of them is in hand.
//! 4. An update stays in its stream until it is settled, and is deleted then; what is set aside moves to the dead letters. An update
//!    that was settled is never given out again by mistake: giving out reads it.
//! 5. When there is no memory left nothing is stored, but what is stored goes on.
//!
//! What an `Ok` is worth is the server's to decide: with `appendonly yes` and `appendfsync always` an acknowledged update is on its disk.
//! Anything less is told loudly ([`Report`]). A failover loses what the replica hadn't got; `min-replicas-to-write` bounds that.

mod bans;
mod connection;
mod entry;
mod error;
mod hands;
mod keys;
mod membership;
mod reader;
mod report;
mod scripts;
mod server;
mod shared;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use redis::ScriptInvocation;
use sha2::{Digest as _, Sha256};
use telegram_webhook_sidecar_config::Consume;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::DropGuard;

pub use self::{
    bans::RedisBans,
    report::{Doubt, Report},
    shared::Receipt,
};
use self::{
    entry::Fields,
    hands::Offer,
    keys::{Keys, stream_of},
    membership::Membership,
    reader::Reader,
    server::Server,
    shared::Shared,
};
use super::{
    Appended, Clock, DeadLetter, DeadLetterId, Depth, Lease, MAX_KNOWN, Outcome, Queue, QueueError,
    RETENTION, Reason, Selection, Update, millis,
};
use crate::config::RedisSettings;

/// Within which the server must have answered. Telegram waits for a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Dead letters that are looked at in one step.
const PAGE: usize = 32;

/// The queue of one bot. Dropping it without closing it is as if the sidecar had been killed.
pub struct RedisQueue {
    shared: Arc<Shared>,
    clock: Clock,
    max_updates: u64,
    /// None where somebody else takes the updates out.
    membership: Option<Membership>,
    _ends_tasks: DropGuard,
}

// === impl RedisQueue ===

impl RedisQueue {
    /// Opens the queue of a bot. Connects when it must, and again whenever that is needed: that the server isn't there is no error.
    pub fn open(settings: RedisSettings, bot_id: i64, clock: Clock) -> Result<Self, QueueError> {
        let RedisSettings { key_prefix, max_updates, consume, .. } = &settings;
        let (keys, max_updates, consume) = (Keys::new(key_prefix, bot_id), *max_updates, *consume);
        let waiting = Server::new(settings.clone(), reader::ANSWER_WITHIN);
        let server = Server::new(settings, ANSWER_WITHIN);
        let shared = Arc::new(Shared::new(server, waiting, keys));
        let membership = match consume {
            Consume::Sidecar => Some(Membership::new(Arc::clone(&shared))?),
            Consume::Queue => None,
        };
        if let Some(membership) = &membership {
            tokio::spawn(membership.clone().keep());
            tokio::spawn(Reader::new(Arc::clone(&shared)).keep_up());
        }
        let ends_tasks = shared.closed.clone().drop_guard();
        Ok(Self { shared, clock, max_updates, membership, _ends_tasks: ends_tasks })
    }

    /// What has been seen of the server's settings; none before the first connection.
    pub fn report(&self) -> watch::Receiver<Option<Report>> {
        self.shared.server.report()
    }

    /// What a script needs that stores an update unless it is known.
    fn unless_known<'a>(&self, script: &'a redis::Script, update: &Update) -> ScriptInvocation<'a> {
        let now = self.clock.now();
        let mut invocation = script.prepare_invoke();
        invocation.key(&self.shared.keys.known);
        invocation.arg(Sha256::digest(&update.body).as_slice()).arg(millis(now));
        invocation.arg(millis(now.checked_sub(RETENTION).unwrap_or(SystemTime::UNIX_EPOCH))).arg(MAX_KNOWN);
        invocation.arg(self.max_updates);
        invocation
    }

    fn appended(&self, answer: &str) -> Result<Appended, QueueError> {
        match answer {
            "known" => Ok(Appended::Duplicate),
            "full" => Err(QueueError::Full(format!("it holds {} (maxUpdates)", self.max_updates))),
            _ => Ok(Appended::Stored),
        }
    }

    /// Gives out what was offered, if it is still there and ours.
    async fn give_out(&self, offer: Offer) -> Result<Option<Lease<Receipt>>, QueueError> {
        let Self { shared, .. } = self;
        let receipt = Receipt::new(Arc::clone(shared), offer);
        let script = shared.about(&shared.scripts.take, receipt.offer());
        let (answer, deliveries, fields): (String, u32, Fields) = shared.server.run(&script).await?;
        match answer.as_str() {
            "taken" => {}
            "gone" => {
                receipt.settled();
                return Ok(None);
            }
            _ => {
                shared.hands().lost(receipt.offer());
                return Ok(None);
            }
        }
        match entry::update(fields) {
            Ok(update) => Ok(Some(Lease { update, deliveries, receipt })),
            Err(error) => {
                receipt.left_alone();
                Err(error)
            }
        }
    }
}

impl Queue for RedisQueue {
    type Receipt = Receipt;
    const SHARED: bool = true;

    async fn append(&self, update: Update) -> Result<Appended, QueueError> {
        self.shared.ensure_open()?;
        let Shared { server, keys, scripts, .. } = &*self.shared;
        let mut script = self.unless_known(&scripts.append, &update);
        script.key(keys.streams());
        // Lua counts from one
        script.arg(stream_of(update.lane) + 1).arg(entry::of_update(&update));
        let answer: String = server.run(&script).await?;
        self.appended(&answer)
    }

    async fn bury(&self, update: Update, reason: Reason) -> Result<Appended, QueueError> {
        self.shared.ensure_open()?;
        let Shared { server, keys, scripts, .. } = &*self.shared;
        let mut script = self.unless_known(&scripts.bury, &update);
        script.key(&keys.dead_letters).arg(entry::of_update(&update));
        script.arg(entry::of_reason(&reason, millis(self.clock.now())));
        let answer: String = server.run(&script).await?;
        self.appended(&answer)
    }

    async fn next(&self) -> Result<Lease<Receipt>, QueueError> {
        let Self { shared, .. } = self;
        loop {
            let offered = shared.offered.notified();
            tokio::pin!(offered);
            // what is offered from here on is not missed
            offered.as_mut().enable();
            shared.ensure_open()?;
            let offer = shared.hands().take(Instant::now());
            match offer {
                Some(offer) => {
                    if let Some(lease) = self.give_out(offer).await? {
                        return Ok(lease);
                    }
                }
                None => {
                    shared.closed.run_until_cancelled(offered).await;
                }
            }
        }
    }

    async fn settle(&self, lease: Lease<Receipt>, outcome: Outcome) -> Result<(), QueueError> {
        self.shared.ensure_open()?;
        let Shared { server, keys, scripts, .. } = &*self.shared;
        let Lease { receipt, .. } = lease;
        let mut script = self.shared.about(&scripts.settle, receipt.offer());
        if let Outcome::Dead(reason) = &outcome {
            script.key(&keys.dead_letters).arg(entry::of_reason(reason, millis(self.clock.now())));
        }
        let answer: String = server.run(&script).await?;
        if answer == "settled" {
            receipt.settled();
            return Ok(());
        }
        self.shared.hands().lost(receipt.offer());
        Err(QueueError::Unavailable("another sidecar has taken the update over".to_owned()))
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        self.shared.ensure_open()?;
        let Shared { server, keys, scripts, .. } = &*self.shared;
        let mut script = scripts.depth.prepare_invoke();
        script.key(&keys.known).key(&keys.given_out).key(&keys.dead_letters).key(keys.streams());
        let (updates, bytes, oldest, dead_letters): (u64, u64, i64, u64) = server.run(&script).await?;
        let oldest = u64::try_from(oldest).ok().map(super::from_millis);
        Ok(Depth { updates, bytes, oldest, dead_letters })
    }

    async fn dead_letters(
        &self,
        selection: &Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let mut place = after.map_or_else(|| "0-0".to_owned(), |id| id.to_string());
        let mut selected = Vec::new();
        loop {
            self.shared.ensure_open()?;
            let Shared { server, keys, .. } = &*self.shared;
            let mut command = redis::cmd("XRANGE");
            command.arg(&keys.dead_letters).arg(format!("({place}")).arg("+").arg("COUNT").arg(PAGE);
            let page: Vec<(String, Fields)> = server.query(&command).await?;
            let Some((last, _)) = page.last() else { return Ok(selected) };
            place.clone_from(last);
            for (id, fields) in page {
                let letter = entry::dead_letter(&id, fields)?;
                if selection.takes(letter.update.chat(), letter.at) {
                    selected.push(letter);
                }
                if selected.len() == limit {
                    return Ok(selected);
                }
            }
        }
    }

    async fn replay(&self, id: DeadLetterId) -> Result<bool, QueueError> {
        self.shared.ensure_open()?;
        let Shared { server, keys, scripts, .. } = &*self.shared;
        let id = id.to_string();
        let mut command = redis::cmd("XRANGE");
        command.arg(&keys.dead_letters).arg(&id).arg(&id);
        let found: Vec<(String, Fields)> = server.query(&command).await?;
        let Some((_, fields)) = found.into_iter().next() else { return Ok(false) };
        let letter = entry::dead_letter(&id, fields)?;
        let mut script = scripts.replay.prepare_invoke();
        script.key(&keys.dead_letters).key(keys.stream(stream_of(letter.update.lane)));
        script.arg(&id).arg(&entry::ADDED);
        server.run(&script).await
    }

    async fn forget_dead_letters(&self, before: SystemTime) -> Result<u64, QueueError> {
        let mut place = "0-0".to_owned();
        let mut forgotten = 0;
        while !place.is_empty() {
            self.shared.ensure_open()?;
            let Shared { server, keys, scripts, .. } = &*self.shared;
            let mut script = scripts.forget.prepare_invoke();
            script.key(&keys.dead_letters).arg(millis(before)).arg(&place).arg(PAGE);
            let (end, some): (String, u64) = server.run(&script).await?;
            forgotten += some;
            place = end;
        }
        Ok(forgotten)
    }

    async fn close(&self) -> Result<(), QueueError> {
        if self.shared.closed.is_cancelled() {
            return Ok(());
        }
        self.shared.closed.cancel();
        match &self.membership {
            Some(membership) => membership.leave().await,
            None => Ok(()),
        }
    }
}
