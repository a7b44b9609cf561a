//! Progress on standard error: what is being done, and when in the run.

use tokio::time::Instant;

/// Prints lines with the time since the start.
#[derive(Clone, Copy)]
pub struct Progress {
    start: Instant,
}

impl Progress {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Says what is done next.
    pub fn say(&self, what: &str) {
        eprintln!("[{:>4}s] {what}", self.start.elapsed().as_secs());
    }

    /// The same as a function, for code that knows nothing of this type.
    pub fn sayer(self) -> impl Fn(&str) + Send + Sync {
        move |what| self.say(what)
    }
}
