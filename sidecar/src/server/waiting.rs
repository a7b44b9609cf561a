//! How long a connection waits for a request: between two of them for long, but a head that has begun must be whole soon.
//!
//! One timer does for a connection's whole life. A wait that begins leaves it alone if it ends early enough, and when it ends too
//! early it is set anew: hyper's own would be made, set and taken off again for every request.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

use super::ConnectionEnd;

/// From a head's first byte to its last: it comes in one packet.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// No byte of a head is there.
const IDLE: u32 = 0;
/// A head has begun.
const HEAD: u32 = 1;
/// A request is with the handler.
const HANDLING: u32 = 2;
/// A power of two, so that the number of requests may start anew.
const PHASES: u32 = 4;

/// At which point of a request a connection is, shared between its stream and its service. It orders nothing but itself.
///
/// The number of its requests times [`PHASES`] and the phase of the one that it is at, so that no two waits look alike.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU32>);

/// Ends a wait that takes too long.
pub(super) struct Waiting {
    progress: Progress,
    idle_timeout: Duration,
    /// Which wait `until` is of.
    point: u32,
    /// None while the handler is at work.
    until: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

// === impl Progress ===

impl Progress {
    pub(super) fn request_began(&self) {
        self.enter(HANDLING);
    }

    pub(super) fn request_ended(&self) {
        self.enter(PHASES);
    }

    pub(super) fn read(&self) {
        if self.point() % PHASES == IDLE {
            self.enter(HEAD);
        }
    }

    fn enter(&self, phase: u32) {
        let point = self.point();
        self.0.store((point - point % PHASES).wrapping_add(phase), Ordering::Relaxed);
    }

    fn point(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Waiting ===

impl Waiting {
    /// The first wait begins now.
    pub(super) fn new(progress: Progress, idle_timeout: Duration) -> Self {
        let timer = Box::pin(sleep(idle_timeout));
        Self { point: progress.point(), progress, idle_timeout, until: Some(timer.deadline()), timer }
    }

    /// Ready, with what to call it, once it has taken too long. Wants to be asked whenever the progress may be another.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        let point = self.progress.point();
        if point != self.point {
            self.point = point;
            let timeout = match point % PHASES {
                IDLE => Some(self.idle_timeout),
                HEAD => Some(HEAD_TIMEOUT),
                _ => None,
            };
            self.until = timeout.map(|timeout| Instant::now() + timeout);
        }
        let Some(until) = self.until else {
            return Poll::Pending;
        };
        if self.timer.deadline() > until {
            self.timer.as_mut().reset(until);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.timer.deadline() >= until {
                let of_head = point % PHASES == HEAD;
                return Poll::Ready(if of_head {
                    ConnectionEnd::HeadTimeout
                } else {
                    ConnectionEnd::IdleTimeout
                });
            }
            // it was set for an earlier wait
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
