//! `cargo xtask`: everything that is done with this workspace beyond `cargo build`.

mod cluster;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask",
    about = "Works with this workspace beyond `cargo build`"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start, end or look at the test cluster
    Cluster(cluster::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    telegram_webhook_tests::cluster::install_crypto_provider();
    let outcome = match Arguments::parse().task {
        Task::Cluster(arguments) => cluster::run(arguments).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
