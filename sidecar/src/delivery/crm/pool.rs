//! Idle connections, by the CRM's address.
//!
//! The newest is used first, so that a crowd's connections end when the crowd has gone. The old ones are closed by a task that
//! lives for as long as there are any.

use std::{
    mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::connection::Connection;

/// Below the 5 s after which Node.js, the shortest-lived common server, closes an idle connection: we close first, and so
/// never send an update into a connection that is just going away.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// More idle connections to an address than this are closed.
pub(super) const MAX_IDLE: usize = 64;

#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A pod has few ports that take updates: a search is faster than a hash.
    shelves: Vec<Shelf>,
    /// Whether a task is there that closes what is too old.
    swept: bool,
}

struct Shelf {
    address: SocketAddr,
    /// Oldest first.
    idle: Vec<Idle>,
}

struct Idle {
    since: Instant,
    connection: Connection,
}

// === impl Pool ===

impl Pool {
    /// The connection that was used last, if there is one.
    pub(super) fn take(&self, address: SocketAddr, now: Instant) -> Option<Connection> {
        let mut state = self.lock();
        let shelf = state.shelves.iter_mut().find(|shelf| shelf.address == address)?;
        // all others are older
        let newest = shelf.idle.pop_if(|newest| !newest.is_old(now))?;
        Some(newest.connection)
    }

    /// Keeps a connection for the next update.
    pub(super) fn put(self: &Arc<Self>, address: SocketAddr, connection: Connection) {
        let mut state = self.lock();
        let since = Instant::now();
        let State { shelves, swept } = &mut *state;
        let index = shelves.iter().position(|shelf| shelf.address == address).unwrap_or_else(|| {
            shelves.push(Shelf { address, idle: Vec::new() });
            shelves.len() - 1
        });
        let Some(Shelf { idle, .. }) = shelves.get_mut(index) else { return };
        if idle.len() < MAX_IDLE {
            idle.push(Idle { since, connection });
        }
        if !mem::replace(swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), since + IDLE_TIMEOUT));
        }
    }

    /// Closes what is too old, and tells when the next one will be. With none left, the sweeping has ended.
    fn sweep(&self, now: Instant) -> Option<Instant> {
        let mut closed = Vec::new();
        let mut state = self.lock();
        for Shelf { idle, .. } in &mut state.shelves {
            let old = idle.partition_point(|idle| idle.is_old(now));
            closed.extend(idle.drain(..old));
        }
        // those of ports that aren't used any more too
        state.shelves.retain(|shelf| !shelf.idle.is_empty());
        let oldest = state.shelves.iter().filter_map(|shelf| shelf.idle.first()).map(|idle| idle.since).min();
        state.swept = oldest.is_some();
        drop(state);
        // not before the lock is free: to close is a system call each
        drop(closed);
        oldest.map(|since| since + IDLE_TIMEOUT)
    }

    #[cfg(test)]
    pub(super) fn holds(&self, address: SocketAddr) -> bool {
        self.lock().shelves.iter().any(|shelf| shelf.address == address && !shelf.idle.is_empty())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Idle ===

impl Idle {
    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= IDLE_TIMEOUT
    }
}

async fn sweep(pool: Weak<Pool>, mut next: Instant) {
    loop {
        sleep_until(next).await;
        let due = pool.upgrade().and_then(|pool| pool.sweep(Instant::now()));
        let Some(due) = due else { return };
        next = due;
    }
}
