//! JSON lines on standard output, `info` and above unless `RUST_LOG` says otherwise.
//!
//! A thread of its own writes them: whoever reads them may be slow, and requests must not wait for it. When more wait than fit,
//! the newest are lost and counted.

use std::{io, sync::OnceLock};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// About 1 MiB when all of them wait.
const MAX_WAITING_LINES: usize = 4096;

/// There is one log, as there is one standard output.
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Sets up the log; dropping the guard writes what still waits.
#[must_use = "dropping it ends the log"]
pub fn init() -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MAX_WAITING_LINES)
        .thread_name("log")
        .finish(io::stdout());
    LOST.get_or_init(|| writer.error_counter());
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt()
        .json()
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .init();
    guard
}

/// Lines that were lost so far because nobody read them fast enough.
pub fn lost_lines() -> u64 {
    LOST.get().map_or(0, |lost| lost.dropped_lines() as u64)
}
