//! From the queue to the CRM: takes updates, hands each over until the CRM has it or nobody can take it, and settles them.
//!
//! All of it is one task, which is woken by what happens and owns all that it decides by; only its attempts and the queue wait. An
//! update that failed is kept in hand until its next attempt, so that its lane waits and no other does. While the CRM fails, no
//! more than `concurrency` are in hand, and all others stay where they are safe. What is decided: `engine`; what is done: `work`.

mod engine;
mod housekeeping;
mod queue_errors;
mod settlements;
mod waiting;
mod work;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    select,
    sync::watch,
    time::{Instant, Sleep, interval, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{
    engine::{Engine, Step},
    work::{Shared, perform},
};
pub use self::{
    housekeeping::keep_house,
    settlements::{Settled, Settlements},
};
use super::{BreakerState, Crm, DeliveryError, Random};
use crate::{
    config::Webhook,
    metrics::Metrics,
    queue::{Clock, Hold, Queue, Update},
};

/// What is left of the time for stopping when the queue is closed, at most; and of what part of all of it.
const TO_CLOSE: (Duration, u32) = (Duration::from_secs(2), 4);
/// A queue that gives out nothing for so long has nothing for us.
const QUIET: Duration = Duration::from_millis(200);
/// A new version of the webhook is taken over when something happens, and after so long at the latest. As often it is looked at which
/// updates in hand were lost.
const FOLLOW: Duration = Duration::from_secs(1);
/// Beyond any time that is waited for.
const FAR: Duration = Duration::from_hours(24);

/// Whom updates are handed to.
pub trait Recipient: Send + Sync + 'static {
    /// Tries once; an `Ok` means that the update is theirs.
    fn attempt(
        &self,
        webhook: &Webhook,
        update: &Update,
        attempt: u32,
    ) -> impl Future<Output = Result<(), DeliveryError>> + Send;
}

/// Delivers the updates of one webhook.
pub struct Dispatcher<Q, C = Crm> {
    pub queue: Arc<Q>,
    pub crm: C,
    /// The version of the webhook that holds from now on.
    pub webhook: watch::Receiver<Arc<Webhook>>,
    pub metrics: Metrics,
    pub clock: Clock,
    pub random: Random,
    /// Where to wait for what becomes of an update.
    pub settlements: Settlements,
    /// Shows whether the CRM takes updates.
    pub breaker: watch::Sender<BreakerState>,
}

// === impl Dispatcher ===

impl<Q: Queue, C: Recipient> Dispatcher<Q, C> {
    /// Delivers until told to stop. Then what is under way is finished, and the queue emptied as far as the CRM takes it, or left to
    /// the others who share it; at last the queue is closed. All that within `grace`; what isn't delivered by then stays in the queue.
    pub async fn run(self, stop: CancellationToken, grace: Duration) {
        let Self { queue, crm, webhook, metrics, clock, random, settlements, breaker } = self;
        let housekeeping = keep_house(Arc::clone(&queue), webhook.clone(), metrics.clone(), clock);
        let housekeeping = AbortOnDropHandle::new(tokio::spawn(housekeeping));
        let engine = Engine::new(webhook, metrics.clone(), clock, random, breaker);
        let shared = Shared { queue, crm, metrics, settlements };
        let (engine, end) = shared.deliver(engine, &stop, grace).await;
        drop(housekeeping);
        // what waits for its next attempt goes back
        engine.end();
        match timeout_at(end, shared.queue.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the queue couldn't be closed"),
            Err(_) => tracing::error!("the queue wasn't closed at the deadline"),
        }
    }
}

// === impl Shared ===

impl<Q: Queue, C: Recipient> Shared<Q, C> {
    /// Ends when there is nothing more to be done, with the time at which all must have ended.
    async fn deliver(
        &self,
        mut engine: Engine<Q::Receipt>,
        stop: &CancellationToken,
        grace: Duration,
    ) -> (Engine<Q::Receipt>, Instant) {
        let mut under_way = FuturesUnordered::new();
        let mut taking = pin!(None);
        let mut timer = pin!(sleep_until(Instant::now() + FAR));
        let mut ticks = interval(FOLLOW);
        let mut stopped = pin!(stop.cancelled());
        let mut drain = None;
        loop {
            let now = Instant::now();
            engine.follow(now);
            let takes = loop {
                match engine.step(now, under_way.len()) {
                    Step::Begin(work) => under_way.push(perform(self, work)),
                    Step::Take(pass) => break Some(pass),
                    Step::Wait => break None,
                }
            };
            if takes.is_none() {
                // what is given out meanwhile goes back
                taking.set(None);
            } else if taking.is_none() {
                taking.set(Some(self.queue.next()));
            }
            if engine.is_closed() && drain.is_none() {
                drain = Some(Drain::new(now, grace));
            }
            if let Some(drain) = &mut drain
                && drain.has_ended(now, &engine, under_way.is_empty())
            {
                return (engine, drain.end);
            }
            let wake = [engine.wakes_at(now), drain.as_ref().and_then(|drain| drain.wakes_at(now))];
            set(timer.as_mut(), wake.into_iter().flatten().min(), now);
            select! {
                biased;
                Some(done) = under_way.next(), if !under_way.is_empty() => {
                    let now = Instant::now();
                    if let Some(work) = engine.done(done, now, under_way.len()) {
                        under_way.push(perform(self, work));
                    }
                }
                (taken, pass) = poll_fn(|cx| match (taking.as_mut().as_pin_mut(), takes) {
                    (Some(next), Some(pass)) => next.poll(cx).map(|taken| (taken, pass)),
                    _ => Poll::Pending,
                }) => {
                    taking.set(None);
                    let now = Instant::now();
                    // after a pause the version may be an old one
                    engine.follow(now);
                    if let Some(work) = engine.taken(taken, pass, now) {
                        under_way.push(perform(self, work));
                    }
                }
                () = &mut timer => {}
                _ = ticks.tick() => engine.give_up_lost(),
                () = &mut stopped, if drain.is_none() => {
                    if Q::SHARED {
                        engine.close();
                    }
                    drain = Some(Drain::new(Instant::now(), grace));
                }
            }
        }
    }
}

/// Sets when it wakes. One that wakes for nothing is better than to set it anew each time.
fn set(timer: Pin<&mut Sleep>, wake: Option<Instant>, now: Instant) {
    match wake {
        Some(wake) if timer.deadline() != wake => timer.reset(wake),
        None if timer.deadline() <= now => timer.reset(now + FAR),
        _ => {}
    }
}

/// The end of a dispatcher.
struct Drain {
    /// When no update is delivered any more.
    deadline: Instant,
    /// When everything must have ended.
    end: Instant,
    /// When the queue gives out nothing more for too long.
    quiet: Option<Instant>,
}

// === impl Drain ===

impl Drain {
    fn new(now: Instant, grace: Duration) -> Self {
        let (most, part) = TO_CLOSE;
        let end = now + grace;
        Self { deadline: end - most.min(grace / part), end, quiet: None }
    }

    fn has_ended<R: Hold>(&mut self, now: Instant, engine: &Engine<R>, is_idle: bool) -> bool {
        if now >= self.deadline {
            return true;
        }
        if !is_idle {
            self.quiet = None;
            return false;
        }
        if engine.is_closed() || !engine.delivers() {
            return true;
        }
        now >= *self.quiet.get_or_insert(now + QUIET) && !engine.retries_before(self.deadline)
    }

    fn wakes_at(&self, now: Instant) -> Option<Instant> {
        [Some(self.deadline), self.quiet].into_iter().flatten().filter(|at| *at > now).min()
    }
}

impl Recipient for Crm {
    async fn attempt(&self, webhook: &Webhook, update: &Update, attempt: u32) -> Result<(), DeliveryError> {
        Self::attempt(self, webhook, update, attempt).await.map(drop)
    }
}

#[cfg(test)]
mod tests;
