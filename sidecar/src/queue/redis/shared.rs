//! What the queue, its background tasks and the updates in hand have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::ScriptInvocation;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    hands::{Hands, Offer},
    keys::Keys,
    scripts::Scripts,
    server::Server,
};
use crate::queue::{Hold, QueueError};

pub(super) struct Shared {
    pub(super) server: Server,
    /// For commands that wait: everything behind them on their connection waits too.
    pub(super) waiting: Server,
    pub(super) keys: Keys,
    pub(super) scripts: Scripts,
    hands: Mutex<Hands>,
    /// Something may be offered.
    pub(super) offered: Notify,
    /// Something may have to be told to the server: a stream can be let go.
    pub(super) let_go: Notify,
    /// Streams have been won.
    pub(super) won: Notify,
    pub(super) closed: CancellationToken,
}

/// An update in hand. Dropping it gives it back.
pub struct Receipt {
    shared: Arc<Shared>,
    offer: Offer,
    settled: bool,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(server: Server, waiting: Server, keys: Keys) -> Self {
        Self {
            server,
            waiting,
            keys,
            scripts: Scripts::new(),
            hands: Mutex::default(),
            offered: Notify::new(),
            let_go: Notify::new(),
            won: Notify::new(),
            closed: CancellationToken::new(),
        }
    }

    pub(super) fn hands(&self) -> MutexGuard<'_, Hands> {
        // nothing that holds the lock can panic half-way
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ensure_open(&self) -> Result<(), QueueError> {
        if self.closed.is_cancelled() { Err(QueueError::Closed) } else { Ok(()) }
    }

    /// A script with the keys that every step about a stream needs.
    pub(super) fn about<'a>(&'a self, script: &'a redis::Script, offer: &Offer) -> ScriptInvocation<'a> {
        let Offer { stream, token, id, .. } = offer;
        let mut invocation = script.prepare_invoke();
        invocation.key(&self.keys.leases).key(&self.keys.given_out).key(self.keys.stream(*stream));
        invocation.arg(*stream).arg(&**token).arg(id.to_string());
        invocation
    }
}

// === impl Receipt ===

impl Receipt {
    pub(super) fn new(shared: Arc<Shared>, offer: Offer) -> Self {
        Self { shared, offer, settled: false }
    }

    pub(super) fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The update is gone.
    pub(super) fn settled(mut self) {
        self.settled = true;
        self.shared.hands().settled(&self.offer);
    }

    /// The update is left in the stream, and its lane goes on without it.
    pub(super) fn left_alone(mut self) {
        self.settled = true;
        self.shared.hands().left_alone(&self.offer);
    }
}

impl Hold for Receipt {
    fn holds(&self) -> bool {
        self.shared.hands().holds(&self.offer, Instant::now())
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.settled {
            self.shared.hands().put_back(&self.offer);
        }
        self.shared.offered.notify_waiters();
        self.shared.let_go.notify_one();
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("id", &self.offer.id).finish_non_exhaustive()
    }
}
