//! Spares a CRM that is down, and one that has just come back.
//!
//! Closed, deliveries pass. After [`FAILURES`] in a row it opens and nothing passes, for a while that grows each time. Then one
//! update is tried; from which lane is the caller's choice, and not always the same, or an update that the CRM never takes would keep
//! it open. With the first success it closes, and lets through twice as many at a time with each round of successes. No clock, no
//! queue: it is told what happens.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::{Random, bound};

/// So many in a row, of more than one update, and the CRM is down.
const FAILURES: u32 = 5;
/// Bound on how long nothing is tried at first.
const FIRST: Duration = Duration::from_secs(1);
/// And after many failures: so long a CRM may be up again without getting anything.
const LONGEST: Duration = Duration::from_secs(30);
/// At a time, after the one that has shown that the CRM is back.
const FIRST_ROUND: usize = 2;

#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// How often it has opened without having been closed meanwhile.
    rounds: u32,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: Failures,
        pace: Pace,
    },
    Open {
        until: Instant,
    },
    /// One is being tried.
    HalfOpen,
}

/// Those in a row.
#[derive(Debug, Default)]
struct Failures {
    number: u32,
    /// The update of the first one.
    first: Option<u64>,
    of_several: bool,
}

/// How many may be under way.
#[derive(Debug)]
struct Pace {
    limit: usize,
    /// Successes of this round.
    succeeded: usize,
}

/// How a delivery may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    Free,
    /// It is the one that is tried.
    Probe,
}

/// What the metrics say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn new() -> Self {
        Self { state: State::Closed { failures: Failures::default(), pace: Pace::UNBOUNDED }, rounds: 0 }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// Whether another delivery may begin beside those under way.
    pub(super) fn admits(&self, now: Instant, under_way: usize, concurrency: usize) -> Option<Pass> {
        match &self.state {
            State::Closed { pace, .. } => (under_way < pace.limit.min(concurrency)).then_some(Pass::Free),
            // what was under way when it opened may show that the CRM is there
            State::Open { until } => (under_way == 0 && *until <= now).then_some(Pass::Probe),
            State::HalfOpen => None,
        }
    }

    /// When one is tried, while it is open.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed { .. } | State::HalfOpen => None,
        }
    }

    /// Whether it is closed and the last delivery didn't fail.
    pub(super) fn is_content(&self) -> bool {
        matches!(&self.state, State::Closed { failures: Failures { number: 0, .. }, .. })
    }

    /// A delivery begins.
    pub(super) fn begin(&mut self, pass: Pass) {
        if pass == Pass::Probe {
            self.state = State::HalfOpen;
        }
    }

    /// The CRM took an update, or refused it for good: it is there. Whether it closes by that.
    pub(super) fn succeeded(&mut self) -> bool {
        if let State::Closed { failures, pace } = &mut self.state {
            *failures = Failures::default();
            pace.succeeded();
            return false;
        }
        self.rounds = 0;
        self.state = State::Closed { failures: Failures::default(), pace: Pace::AFTER_OUTAGE };
        true
    }

    /// A delivery failed. `update` tells it from others; `alone` is whether there are no others; `asked` is what the CRM wants to
    /// be left alone for. Whether it opens by that.
    pub(super) fn failed(
        &mut self,
        pass: Pass,
        update: u64,
        alone: bool,
        asked: Duration,
        now: Instant,
        random: &mut Random,
    ) -> bool {
        match &mut self.state {
            State::Closed { failures, pace } => {
                pace.succeeded = 0;
                let enough = failures.add(update) || (alone && failures.number >= FAILURES);
                if !enough {
                    return false;
                }
            }
            State::HalfOpen if pass == Pass::Probe => {}
            // under way since before it opened: it says nothing new
            State::Open { .. } | State::HalfOpen => return false,
        }
        self.rounds = self.rounds.saturating_add(1);
        // at least half of it, so that the CRM is spared
        let wait = bound(FIRST, LONGEST, self.rounds).mul_f64(0.5 + random.fraction() / 2.0);
        self.state = State::Open { until: now + wait.max(asked) };
        true
    }

    /// Something has changed: if it is open, one is tried at once.
    pub(super) fn reconsider(&mut self, now: Instant) {
        if let State::Open { until } = &mut self.state {
            *until = now.min(*until);
        }
    }
}

// === impl Failures ===

impl Failures {
    /// Whether these are enough.
    fn add(&mut self, update: u64) -> bool {
        self.number = self.number.saturating_add(1);
        self.of_several |= *self.first.get_or_insert(update) != update;
        self.number >= FAILURES && self.of_several
    }
}

// === impl Pace ===

impl Pace {
    const UNBOUNDED: Self = Self { limit: usize::MAX, succeeded: 0 };
    const AFTER_OUTAGE: Self = Self { limit: FIRST_ROUND, succeeded: 0 };

    fn succeeded(&mut self) {
        self.succeeded = self.succeeded.saturating_add(1);
        if self.succeeded >= self.limit {
            *self = Self { limit: self.limit.saturating_mul(2), succeeded: 0 };
        }
    }
}

// === impl BreakerState ===

impl BreakerState {
    /// As a gauge: the higher, the worse.
    pub(crate) fn level(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

#[cfg(test)]
mod tests;
