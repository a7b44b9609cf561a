//! Starts the operator: crypto provider, flags, logging, signals.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use telegram_webhook_operator::{app, args::Args};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let crypto = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    let result = crypto
        .map_err(|_| anyhow::anyhow!("another crypto provider is installed already"))
        .and_then(|()| tokio::runtime::Runtime::new().context("failed to start the runtime"))
        .and_then(|runtime| runtime.block_on(run(args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "operator fails");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        for attempt in 0.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if attempt > 0 {
                // the second one means now
                std::process::exit(130);
            }
            stop.cancel();
        }
    });
    Ok(Box::pin(app::run(args, shutdown)).await?)
}
