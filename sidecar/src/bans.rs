//! Which clients are banned: those whose address failed to authenticate too often, for a while, and the networks of the
//! configuration, for ever.
//!
//! Never banned is an address that is listed, because a mismatch may be ours, and automatically none that isn't of the internet,
//! because it is that of a hop of our own network and stands for everybody behind it, and none that authenticated requests come from
//! too.

pub mod exchange;
mod proven;
mod register;
mod sharing;

use std::{
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use telegram_webhook_sidecar_config::bounds::BAN_DURATION_SECONDS;
use tokio::{sync::broadcast, time::Instant};

pub use self::sharing::share;
use self::{
    exchange::{News, SharedBan},
    proven::Proven,
    register::{Ban, Register},
};
use crate::{
    address::{self, AddressKey},
    config::Policy,
    metrics::Metrics,
    queue::{Clock, from_millis, millis},
    sliding_window::Windows,
};

/// Clients whose failures are counted at a time.
pub(crate) const MAX_STRANGERS: usize = 100_000;

/// All who are banned, and who is on the way there.
pub struct Bans {
    failures: Windows<AddressKey>,
    proven: Proven,
    register: Mutex<Register>,
    /// Whether the register holds anything: mostly it doesn't, and every connection asks.
    any: AtomicBool,
    /// What is decided here, for whoever tells others.
    decisions: broadcast::Sender<News>,
    clock: Clock,
    metrics: Metrics,
}

/// A ban, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banned {
    pub client: AddressKey,
    pub failures: u32,
    /// To the second.
    pub until: Timestamp,
}

/// Why a ban can't be lifted, behind the address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotLifted {
    #[error("is not banned")]
    NotBanned,
    #[error("is banned by limits.banned of {webhook}: remove it there")]
    Permanent { webhook: String },
}

// === impl Bans ===

impl Bans {
    pub fn new(metrics: Metrics) -> Self {
        Self {
            failures: Windows::new(MAX_STRANGERS),
            proven: Proven::new(),
            register: Mutex::default(),
            any: AtomicBool::new(false),
            decisions: broadcast::Sender::new(sharing::MAX_UNTOLD),
            clock: Clock::new(),
            metrics,
        }
    }

    /// Whether the client is banned now.
    pub fn contains(&self, policy: &Policy, client: IpAddr) -> bool {
        (policy.stranger_rules().banned.contains(client) || self.has(client)) && !policy.listed(client)
    }

    fn has(&self, client: IpAddr) -> bool {
        self.any.load(Ordering::Relaxed)
            && self.register().get(address::key(client)).is_some_and(|ban| ban.until > Instant::now())
    }

    /// Notes that a request of the client was authenticated: for a while whoever shares its address can't get that banned.
    pub fn authenticated(&self, policy: &Policy, client: IpAddr) {
        // others aren't banned anyway
        if address::is_global(client) && !policy.listed(client) {
            self.proven.note(address::key(client));
        }
    }

    /// Counts a request that failed to authenticate, of a client that isn't listed, and bans it when there were too many.
    pub fn failed(&self, policy: &Policy, client: IpAddr) {
        let Some(rule) = policy.stranger_rules().ban.filter(|_| address::is_global(client)) else {
            return;
        };
        let client = address::key(client);
        let failures = self.failures.count(client, rule.window_seconds);
        if failures < rule.failures || self.proven.contains(&client) {
            return;
        }
        // counted from nothing when the ban is over
        self.failures.forget(&client);
        let now = Instant::now();
        let until = now + rule.duration;
        let mut register = self.register();
        register.expire(now);
        let ban = Ban { failures, until, own: true };
        register.add(client, ban);
        self.decided(News::Ban(self.shared(client, ban, now)));
        self.publish(&register);
        drop(register);
        self.metrics.banned();
        tracing::warn!(%client, failures, until = %wall_clock(rule.duration), "client banned");
    }

    /// The bans that are not for ever, by address.
    pub fn list(&self) -> Vec<Banned> {
        let now = Instant::now();
        let register = self.expire(now);
        let listed = register.iter().map(|(client, ban)| {
            let until = wall_clock(ban.until.saturating_duration_since(now));
            Banned { client, failures: ban.failures, until }
        });
        let mut listed: Vec<_> = listed.collect();
        drop(register);
        listed.sort_unstable_by_key(|listed| listed.client);
        listed
    }

    /// Ends the ban of a client.
    pub fn lift(&self, policy: &Policy, client: IpAddr) -> Result<(), NotLifted> {
        let permanent = policy.webhooks().iter().find(|webhook| webhook.limits.rates.banned.contains(client));
        if let Some(webhook) = permanent {
            return Err(NotLifted::Permanent { webhook: webhook.name.to_string() });
        }
        let client = address::key(client);
        let mut register = self.expire(Instant::now());
        register.remove(client).ok_or(NotLifted::NotBanned)?;
        self.decided(News::Lift(client));
        self.publish(&register);
        drop(register);
        tracing::warn!(%client, "ban lifted");
        Ok(())
    }

    /// What another sidecar decided, or we did. Whom this one never bans it doesn't ban whatever others say.
    fn hear(&self, policy: &Policy, news: News) {
        let now = Instant::now();
        let mut register = self.register();
        register.expire(now);
        match news {
            News::Lift(client) => drop(register.remove(client)),
            News::Ban(ban) if self.may_follow(policy, ban.client) => {
                let SharedBan { client, failures, until } = ban;
                let lasts = until.duration_since(self.clock.now()).unwrap_or_default();
                let lasts = lasts.min(Duration::from_secs(*BAN_DURATION_SECONDS.end()));
                let own = register.get(client).is_some_and(|former| former.own);
                if !lasts.is_zero() {
                    register.add(client, Ban { failures, until: now + lasts, own });
                }
            }
            News::Ban(_) => {}
        }
        self.publish(&register);
        drop(register);
        let (event, client) = news.of();
        tracing::debug!(%client, event, "heard of a ban");
    }

    fn may_follow(&self, policy: &Policy, client: AddressKey) -> bool {
        let address = exchange::first_address(client);
        policy.stranger_rules().ban.is_some()
            && address::is_global(address)
            && !policy.listed(address)
            && !self.proven.contains(&client)
    }

    /// What is decided here from now on.
    fn decisions(&self) -> broadcast::Receiver<News> {
        self.decisions.subscribe()
    }

    /// The bans that this sidecar decided itself.
    fn own(&self) -> Vec<News> {
        let now = Instant::now();
        let register = self.expire(now);
        let own = register.iter().filter(|(_, ban)| ban.own);
        own.map(|(client, ban)| News::Ban(self.shared(client, ban, now))).collect()
    }

    /// Whether nobody needs to be told any more.
    fn is_over(&self, news: &News) -> bool {
        matches!(news, News::Ban(ban) if ban.until <= self.clock.now())
    }

    fn shared(&self, client: AddressKey, ban: Ban, now: Instant) -> SharedBan {
        let until = self.clock.now() + ban.until.saturating_duration_since(now);
        SharedBan { client, failures: ban.failures, until: from_millis(millis(until)) }
    }

    /// Called with the register locked, so that decisions are told in their order.
    fn decided(&self, news: News) {
        // mostly there is nobody to be told
        self.decisions.send(news).ok();
    }

    /// Forgets the bans that are over, for whoever is about to look at their number.
    pub fn refresh(&self) {
        drop(self.expire(Instant::now()));
    }

    fn expire(&self, now: Instant) -> MutexGuard<'_, Register> {
        let mut register = self.register();
        register.expire(now);
        self.publish(&register);
        register
    }

    fn publish(&self, register: &Register) {
        self.any.store(register.len() > 0, Ordering::Relaxed);
        self.metrics.set_bans(register.len());
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        // nothing that holds the lock can panic half-way
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the clock on the wall will show.
fn wall_clock(after: Duration) -> Timestamp {
    let now = Timestamp::now().as_second();
    // thirty days from now are within what a timestamp can be
    let seconds = i64::try_from(after.as_secs()).unwrap_or_default();
    Timestamp::from_second(now.saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
