//! Whether Telegram's requests should come here.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

/// Ready between two one-way doors: listening with a valid configuration, and draining. And never again once broken.
#[derive(Debug, Default)]
pub struct Readiness {
    listening: AtomicBool,
    draining: CancellationToken,
    drained: CancellationToken,
    closed: AtomicBool,
    broken: OnceLock<&'static str>,
}

// === impl Readiness ===

impl Readiness {
    /// The configuration is loaded and the ports are served.
    pub fn start_listening(&self) {
        self.listening.store(true, Ordering::Relaxed);
    }

    /// The pod is going away: be found no more, while serving whoever still comes.
    pub fn start_draining(&self) {
        self.draining.cancel();
    }

    /// Whoever waits for the draining needn't any more.
    pub fn end_draining(&self) {
        self.drained.cancel();
    }

    /// Nothing is stored here any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Waits until it is draining.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Waits until that is over.
    pub async fn drained(&self) {
        self.drained.cancelled().await;
    }

    /// What was stored can't be trusted, or nothing can be stored: somebody has to look, and start it anew. The first reason stays.
    pub fn broken(&self, reason: &'static str) {
        self.broken.get_or_init(|| reason);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Whether ready, or why not.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.is_draining() {
            return Err("draining");
        }
        if let Some(reason) = self.broken.get() {
            return Err(reason);
        }
        if self.listening.load(Ordering::Relaxed) { Ok(()) } else { Err("starting") }
    }
}
