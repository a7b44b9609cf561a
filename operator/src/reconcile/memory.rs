//! What one process remembers of each resource between passes. Everything here may be forgotten at any time: a restart
//! costs a question to Telegram at most, never a change.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::telegram::BotUser;

/// Memory of all resources, by uid.
#[derive(Debug, Default)]
pub struct Memory {
    resources: Mutex<HashMap<String, Remembered>>,
}

/// Memory of one resource.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// The token that the server rejected, and when: not asked again with it for a while.
    pub rejected: Option<([u8; 32], Instant)>,
    /// The token that a server accepted: not asked again for it.
    pub accepted: Option<AcceptedToken>,
    /// Passes that failed in a row.
    pub failures: u32,
    /// Passes in a row that ended with waiting for sidecars to load what they were given.
    pub polls: u32,
}

/// A token that a server accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedToken {
    /// Names the token.
    pub fingerprint: [u8; 32],
    /// The server.
    pub server: String,
    /// Whose it is.
    pub user: BotUser,
}

impl Memory {
    /// What is remembered of a resource.
    pub fn of(&self, uid: &str) -> Remembered {
        self.lock().get(uid).cloned().unwrap_or_default()
    }

    /// Changes what is remembered of a resource.
    pub fn update<T>(&self, uid: &str, change: impl FnOnce(&mut Remembered) -> T) -> T {
        change(self.lock().entry(uid.to_owned()).or_default())
    }

    /// Forgets a resource that is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Remembered>> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
