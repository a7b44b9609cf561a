//! Whether Telegram's requests should come here.

use std::sync::atomic::{AtomicBool, Ordering};

/// Ready between two one-way doors: listening with a valid configuration, and draining.
#[derive(Debug, Default)]
pub struct Readiness {
    listening: AtomicBool,
    draining: AtomicBool,
}

// === impl Readiness ===

impl Readiness {
    /// The configuration is loaded and the ports are served.
    pub fn start_listening(&self) {
        self.listening.store(true, Ordering::Relaxed);
    }

    /// The pod is going away: be found no more, while serving whoever still comes.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether ready, or why not.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.is_draining() {
            Err("draining")
        } else if self.listening.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("starting")
        }
    }
}
