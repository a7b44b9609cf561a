//! Reads the command line, sets up logging and the one crypto provider, and runs.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use telegram_webhook_sidecar::{
    admin,
    app::{App, StartError, runtime, signals},
    args::{Args, Command, RunArgs},
    logging,
};

/// `EX_USAGE` of sysexits.h: the configuration is wrong or not there, and starting again won't help before it changes.
const EXIT_CONFIGURATION: u8 = 64;

fn main() -> ExitCode {
    logging::init();
    match start() {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<ExitCode> {
    // fails only when a provider is installed already, and nothing runs before this
    let installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    anyhow::ensure!(installed.is_ok(), "a crypto provider was installed before ours");
    let args = Args::parse();
    runtime().context("start the runtime")?.block_on(async {
        match args.command {
            Command::Run(options) => run(options).await,
            Command::Drain(options) => {
                admin::drain::request(options.admin_address).await?;
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

async fn run(options: RunArgs) -> anyhow::Result<ExitCode> {
    let stop = signals::first_signal().context("listen for signals")?;
    match App::start(options).await {
        Ok(app) => app.run(stop).await,
        Err(StartError::Config(problems)) => {
            for problem in problems.iter() {
                tracing::error!(problem = %problem, "configuration");
            }
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}
