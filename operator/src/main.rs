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
    let filter = log_filter(&std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default());
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

/// What is logged, if `wish` is what the environment says. kube's client warns with the whole answer of the API server if it
/// can't be decoded, which may be a Secret: only somebody who names it gets that.
fn log_filter(wish: &str) -> EnvFilter {
    let wish = if wish.trim().is_empty() { "info" } else { wish };
    EnvFilter::try_new(format!("kube_client=error,{wish}"))
        .unwrap_or_else(|_| EnvFilter::new("kube_client=error,info"))
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

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Whether kube's client, and whether we, may warn.
    fn warn(wish: &str) -> (bool, bool) {
        let subscriber = tracing_subscriber::registry().with(log_filter(wish));
        tracing::subscriber::with_default(subscriber, || {
            (
                tracing::enabled!(target: "kube_client::client", tracing::Level::WARN),
                tracing::enabled!(target: "telegram_webhook_operator", tracing::Level::WARN),
            )
        })
    }

    #[test]
    fn what_kubes_client_could_not_decode_is_logged_only_for_who_names_it() {
        assert_eq!(warn(""), (false, true));
        assert_eq!(warn("info"), (false, true));
        assert_eq!(warn("debug"), (false, true));
        assert_eq!(warn("not a filter=="), (false, true));
        assert_eq!(warn("info,kube_client=warn"), (true, true));
    }
}
