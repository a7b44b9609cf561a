//! `cargo xtask`: everything that is done with this workspace beyond `cargo build`.

mod bench;
mod chaos;
mod cluster;
mod demo;
mod fuzz;
mod generate;
mod progress;
mod services;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "Works with this workspace beyond `cargo build`")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show the product at work on a real cluster; stays up until Ctrl-C
    Demo {
        /// Take everything down at once
        #[arg(long)]
        exit: bool,
    },
    /// Run everything that must hold: lints, unit tests, black-box tests, the whole path on a real cluster, the demo
    Test,
    /// Write the files that are generated from the types
    Generate,
    /// Measure the sidecar against its budgets, side by side with nginx, HAProxy and Envoy
    Bench(bench::Arguments),
    /// Kill what holds updates, again and again, and count what became of them
    Chaos(chaos::Arguments),
    /// Feed the sidecar's parsers what nobody would write, with libFuzzer
    Fuzz(fuzz::Arguments),
    /// Start, end or look at the test cluster
    Cluster(cluster::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    telegram_webhook_tests::cluster::install_crypto_provider();
    let outcome = match Arguments::parse().task {
        Task::Demo { exit } => demo::run(exit).await,
        Task::Test => test::run().await,
        Task::Generate => generate::run(),
        Task::Bench(arguments) => bench::run(arguments).await,
        Task::Chaos(arguments) => chaos::run(arguments).await,
        Task::Fuzz(arguments) => fuzz::run(arguments).await,
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
