//! JSON lines on standard output, `info` and above unless `RUST_LOG` says otherwise.

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

pub fn init() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::fmt()
        .json()
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .init();
}
