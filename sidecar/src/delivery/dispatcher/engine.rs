//! What a dispatcher decides: which update is tried next, and what becomes of one that failed. Does nothing itself, and waits for
//! nothing.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use super::{
    super::{
        backoff::{self, Random},
        breaker::{Breaker, BreakerState, Pass},
    },
    DeliveryError,
    queue_errors::{QueueErrors, Unsettled},
    waiting::{Held, Waiting},
    work::{Done, Task, Work},
};
use crate::{
    config::Webhook,
    metrics::Metrics,
    queue::{Clock, Hold, Lease, QueueError, Reason},
};

/// As many times `concurrency` updates may be in hand while the CRM takes others: those that it doesn't take hold up no more than
/// their own lanes.
const HELD_PER_SLOT: usize = 8;
/// So long the queue may take to give out another update to try, before one that is in hand already is tried again.
const PATIENCE: Duration = Duration::from_millis(200);

pub(super) struct Engine<R> {
    config: watch::Receiver<Arc<Webhook>>,
    webhook: Arc<Webhook>,
    metrics: Metrics,
    clock: Clock,
    random: Random,
    breaker: Breaker,
    /// Where the breaker's state is shown, beside the metrics.
    shown: watch::Sender<BreakerState>,
    waiting: Waiting<R>,
    errors: QueueErrors,
    unsettled: Unsettled,
    /// Nothing more is given out.
    closed: bool,
    /// Updates that the CRM accepted.
    accepted: u64,
    /// Updates that were ever in hand.
    serial: u64,
    /// Attempts of all updates.
    tries: u64,
    /// The last failure may have been the update's fault: the CRM was there.
    suspicious: bool,
    /// Next time an update is tried that wasn't yet.
    wants_fresh: bool,
}

/// What is to be done now.
pub(super) enum Step<R> {
    Begin(Work<R>),
    /// Ask the queue for one more.
    Take(Pass),
    /// Nothing, until something happens or [`Engine::wakes_at`].
    Wait,
}

// === impl Engine ===

impl<R: Hold> Engine<R> {
    pub(super) fn new(
        mut config: watch::Receiver<Arc<Webhook>>,
        metrics: Metrics,
        clock: Clock,
        random: Random,
        shown: watch::Sender<BreakerState>,
    ) -> Self {
        let webhook = Arc::clone(&config.borrow_and_update());
        let breaker = Breaker::new();
        metrics.breaker(&webhook, breaker.state());
        Self {
            config,
            webhook,
            metrics,
            clock,
            random,
            breaker,
            shown,
            waiting: Waiting::new(),
            errors: QueueErrors::default(),
            unsettled: Unsettled::default(),
            closed: false,
            accepted: 0,
            serial: 0,
            tries: 0,
            suspicious: false,
            wants_fresh: false,
        }
    }

    /// Takes over a new version of the webhook, for all that begins from now on.
    pub(super) fn follow(&mut self, now: Instant) {
        if !self.config.has_changed().unwrap_or(false) {
            return;
        }
        let webhook = Arc::clone(&self.config.borrow_and_update());
        if webhook.name != self.webhook.name {
            self.metrics.delivery_ended(&self.webhook);
        }
        self.webhook = webhook;
        self.metrics.breaker(&self.webhook, self.breaker.state());
        // it may be what was missing
        self.breaker.reconsider(now);
    }

    /// Nothing more is delivered: gives back what waits.
    pub(super) fn end(self) {
        self.metrics.delivery_ended(&self.webhook);
    }

    /// Gives up those that wait and that another sidecar may have by now, whose lanes could wait here for minutes.
    pub(super) fn give_up_lost(&mut self) {
        while self.waiting.take_lost().is_some_and(|held| self.kept(held).is_none()) {}
    }

    /// The first of those taken that is still ours.
    fn first_kept(&mut self, take: impl Fn(&mut Waiting<R>) -> Option<Held<R>>) -> Option<Held<R>> {
        while let Some(held) = take(&mut self.waiting) {
            if let Some(held) = self.kept(held) {
                return Some(held);
            }
        }
        None
    }

    /// None of an update that another sidecar may have by now: nothing more is done with it here.
    fn kept(&self, held: Held<R>) -> Option<Held<R>> {
        if held.lease.holds() {
            return Some(held);
        }
        self.metrics.lease_lost(&self.webhook);
        tracing::debug!(
            webhook = &*self.webhook.name,
            update_id = held.lease.update.update_id,
            attempts = held.attempts,
            "update lost to another sidecar, or it may be"
        );
        None
    }

    /// Begins nothing more: what waits for its next attempt goes back, too.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn step(&mut self, now: Instant, under_way: usize) -> Step<R> {
        if self.closed {
            return Step::Wait;
        }
        let time = self.clock.now();
        if let Some(held) = self.first_kept(|waiting| waiting.take_expired(time)) {
            return Step::Begin(self.work(held, Task::Expire));
        }
        match self.breaker.admits(now, under_way, self.concurrency()) {
            Some(Pass::Free) => match self.first_kept(|waiting| waiting.take_due(now)) {
                Some(held) => Step::Begin(self.attempt(held, Pass::Free)),
                None if self.may_take(now, under_way) => Step::Take(Pass::Free),
                None => Step::Wait,
            },
            Some(Pass::Probe) => self.probe(now),
            None => Step::Wait,
        }
    }

    /// Which one update shows whether the CRM is back: those in hand in turn and, as it may be these that it doesn't take, every
    /// other time one that wasn't tried yet.
    fn probe(&mut self, now: Instant) -> Step<R> {
        let may_take = self.may_take(now, 0);
        let patient = self.breaker.opens_at().is_some_and(|at| now < at + PATIENCE);
        let prefers_another = may_take && self.suspicious && self.wants_fresh && patient;
        if !prefers_another && let Some(held) = self.first_kept(|waiting| waiting.take_probe(now)) {
            return Step::Begin(self.attempt(held, Pass::Probe));
        }
        if may_take { Step::Take(Pass::Probe) } else { Step::Wait }
    }

    /// Whether one more may be in hand.
    fn may_take(&self, now: Instant, under_way: usize) -> bool {
        let held = under_way + self.waiting.len();
        let usual = self.concurrency();
        // those in hand fail: either the CRM does, or it is they
        let more = match self.breaker.state() {
            BreakerState::Closed => self.breaker.is_content(),
            BreakerState::Open | BreakerState::HalfOpen => self.suspicious,
        };
        !self.closed
            && self.errors.until().is_none_or(|until| until <= now)
            && (held < usual || (more && held < usual.saturating_mul(HELD_PER_SLOT)))
    }

    /// The queue has given out an update, or failed.
    pub(super) fn taken(
        &mut self,
        taken: Result<Lease<R>, QueueError>,
        pass: Pass,
        now: Instant,
    ) -> Option<Work<R>> {
        let lease = match taken {
            Ok(lease) => lease,
            Err(error) => {
                self.closed |= error == QueueError::Closed;
                self.metrics.queue_failed(&self.webhook, &error);
                self.errors.add(&self.webhook.name, &error, now);
                return None;
            }
        };
        self.errors.end(&self.webhook.name);
        self.serial += 1;
        let (serial, accepted) = (self.serial, self.accepted);
        let held =
            Held { lease, serial, attempts: 0, counted: 0, accepted, tried: self.tries, not_before: None };
        let held = self.kept(held)?;
        Some(if held.is_expired(self.clock.now()) {
            self.work(held, Task::Expire)
        } else {
            self.attempt(held, pass)
        })
    }

    /// Work has ended; `under_way` is what is left of it. What follows from it, if anything.
    pub(super) fn done(&mut self, done: Done<R>, now: Instant, under_way: usize) -> Option<Work<R>> {
        match done {
            Done::Accepted(settled) => {
                self.accepted += 1;
                self.answered(now);
                self.settled(&settled);
                None
            }
            Done::Settled(settled) => {
                self.unsettled.add(settled.is_err(), now);
                self.settled(&settled);
                None
            }
            Done::Failed { held, pass, error } => {
                tracing::debug!(
                    webhook = &*self.webhook.name,
                    update_id = held.lease.update.update_id,
                    attempts = held.attempts,
                    %error,
                    "attempt failed"
                );
                if let Some(status) = error.refusal() {
                    self.answered(now);
                    if let Some(until) = self.unsettled.until(now) {
                        self.hold(held, until);
                        return None;
                    }
                    return self.set_aside(held, Reason::Refused(status));
                }
                self.failed(held, pass, &error, now, under_way)
            }
        }
    }

    /// The CRM is there.
    fn answered(&mut self, now: Instant) {
        if self.breaker.succeeded() {
            tracing::info!(webhook = &*self.webhook.name, "the CRM takes updates again");
            // those in hand waited for this
            self.waiting.hurry(now);
            self.show_breaker();
        }
    }

    /// Whether others were accepted meanwhile says whose fault it is.
    fn failed(
        &mut self,
        mut held: Held<R>,
        pass: Pass,
        error: &DeliveryError,
        now: Instant,
        under_way: usize,
    ) -> Option<Work<R>> {
        self.suspicious = !matches!(error, DeliveryError::Unreachable);
        if self.suspicious && self.accepted > held.accepted {
            held.counted += 1;
        }
        held.accepted = self.accepted;
        let asked = error.retry_after().map(|after| after.wait(self.clock.now())).unwrap_or_default();
        let alone = under_way + self.waiting.len() == 0;
        if self.breaker.failed(pass, held.serial, alone, asked, now, &mut self.random) {
            if pass == Pass::Free {
                tracing::warn!(webhook = &*self.webhook.name, %error, "the CRM fails: updates wait in the queue");
            }
            self.show_breaker();
        }
        if held.counted >= self.webhook.delivery.max_attempts {
            let reason = Reason::Exhausted { attempts: held.attempts, last: error.to_string() };
            return self.set_aside(held, reason);
        }
        let asked = Some(asked).filter(|asked| !asked.is_zero());
        held.not_before = asked.map(|asked| now + asked);
        let wait = asked.unwrap_or_else(|| backoff::delay(held.attempts, &mut self.random));
        self.waiting.push(now + wait, held);
        None
    }

    /// Whoever has it by now finds out himself whether anybody takes it.
    fn set_aside(&self, held: Held<R>, reason: Reason) -> Option<Work<R>> {
        let held = self.kept(held)?;
        Some(self.work(held, Task::SetAside(reason)))
    }

    /// There is no place for it where it should go: to ask the CRM at once, and again and again, would help nobody.
    fn hold(&mut self, mut held: Held<R>, until: Instant) {
        held.not_before = Some(until);
        self.waiting.push(until, held);
    }

    fn settled(&mut self, settled: &Result<(), QueueError>) {
        if let Err(error) = settled {
            self.metrics.queue_failed(&self.webhook, error);
            self.errors.tell(&self.webhook.name, error);
        }
    }

    fn attempt(&mut self, mut held: Held<R>, pass: Pass) -> Work<R> {
        if pass == Pass::Probe {
            // next time one of the others
            self.wants_fresh = held.attempts > 0;
        }
        self.tries += 1;
        held.attempts = held.attempts.saturating_add(1);
        held.tried = self.tries;
        self.breaker.begin(pass);
        if pass == Pass::Probe {
            self.show_breaker();
        }
        self.work(held, Task::Attempt(pass))
    }

    fn work(&self, held: Held<R>, task: Task) -> Work<R> {
        Work { webhook: Arc::clone(&self.webhook), held, task }
    }

    fn show_breaker(&self) {
        self.shown.send_replace(self.breaker.state());
        self.metrics.breaker(&self.webhook, self.breaker.state());
    }

    fn concurrency(&self) -> usize {
        self.webhook.delivery.concurrency
    }

    /// The next time, after `now`, at which another step may be possible.
    pub(super) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let probe = self.breaker.opens_at();
        let times = [probe, probe.map(|at| at + PATIENCE), self.errors.until()];
        let waiting = self.waiting.times(now, self.clock.now());
        times.into_iter().flatten().chain(waiting).filter(|at| *at > now).min()
    }

    /// Whether nothing more is given out.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the CRM takes updates, as far as is known.
    pub(super) fn delivers(&self) -> bool {
        self.breaker.state() == BreakerState::Closed
    }

    /// Whether an update in hand is tried again before that time.
    pub(super) fn retries_before(&self, deadline: Instant) -> bool {
        self.waiting.first_due().is_some_and(|due| due < deadline)
    }
}
