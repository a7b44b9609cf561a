//! JSON lines on standard output, `info` and above unless `RUST_LOG` says otherwise.
//!
//! A thread of its own writes them: whoever reads them may be slow, and requests must not wait for it. When more wait than fit,
//! the newest are lost and counted.

use std::{io, sync::OnceLock};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

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
    let filter = filter(&std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default());
    tracing_subscriber::fmt()
        .json()
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .init();
    guard
}

/// What is logged, if `wish` is what the environment says. lapin logs as errors what is none, such as RabbitMQ's answer that there is no
/// queue of a name that must not be there; whatever fails is told by who uses it. So only somebody who names it gets that.
fn filter(wish: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(format!("info,lapin=off,{wish}"))
}

/// Lines that were lost so far because nobody read them fast enough.
pub fn lost_lines() -> u64 {
    LOST.get().map_or(0, |lost| lost.dropped_lines() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is logged, as the filter says it itself: the most special first.
    fn logged(wish: &str) -> String {
        filter(wish).to_string()
    }

    #[test]
    fn the_rabbitmq_client_is_heard_only_by_who_names_it() {
        assert_eq!(logged(""), "lapin=off,info");
        assert_eq!(logged("trace"), "lapin=off,trace");
        assert_eq!(logged("warn,lapin=debug"), "lapin=debug,warn");
        assert_eq!(logged("hyper=debug"), "lapin=off,hyper=debug,info");
        assert_eq!(logged("=nonsense="), "lapin=off,info");
    }
}
