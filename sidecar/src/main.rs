//! Reads the command line, sets up logging and the one crypto provider, and runs.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use telegram_webhook_sidecar::{
    admin::{
        self, AskError,
        dead_letters::command::{Asked, CommandError},
    },
    app::{App, StartError, runtime, signals},
    args::{
        AdminArgs, Args, BansArgs, BansCommand, Command, ConfigSource, DrainArgs, FilterTestArgs,
        JournalArgs, RunArgs,
        dead_letters::{DeadLettersArgs, DeadLettersCommand},
    },
    check,
    filter_test::{self, TestError},
    journal, logging,
};

/// `EX_USAGE` of sysexits.h: the configuration is wrong or not there, and starting again won't help before it changes.
const EXIT_CONFIGURATION: u8 = 64;
/// `EX_DATAERR`: there is no update to try, or one that is none; a journal is damaged.
const EXIT_DATA: u8 = 65;

fn main() -> ExitCode {
    // writes what still waits when the program ends
    let _log = logging::init();
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
            Command::Check(config) => check(&config),
            Command::Drain(options) => drain(&options).await,
            Command::Journal(options) => journal(&options),
            Command::FilterTest(options) => filter_test(&options),
            Command::StandBy => stand_by().await,
            Command::Bans(options) => bans(options).await,
            Command::Queue(options) => queue(&options).await,
            Command::DeadLetters(options) => dead_letters(options).await,
        }
    })
}

async fn bans(options: BansArgs) -> anyhow::Result<ExitCode> {
    let admin = options.admin.admin_address;
    let said = match options.command.unwrap_or_default() {
        BansCommand::List => admin::bans::list(admin).await.map(|entries| admin::bans::shown(&entries)),
        BansCommand::Lift { address } => admin::bans::lift(admin, address).await,
    };
    match said {
        Ok(said) => {
            writeln!(io::stdout(), "{said}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => not_told(&error),
    }
}

/// A preStop hook: it fails only where there is nobody to drain.
async fn drain(options: &DrainArgs) -> anyhow::Result<ExitCode> {
    let DrainArgs { wait, admin } = options;
    if let Some(left) = admin::drain::request(admin.admin_address, *wait).await? {
        writeln!(io::stderr(), "{left}")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn queue(options: &AdminArgs) -> anyhow::Result<ExitCode> {
    match admin::depth::list(options.admin_address).await {
        Ok(entries) => {
            writeln!(io::stdout(), "{}", admin::depth::shown(&entries))?;
            let known = entries.iter().all(|entry| entry.waiting.is_some());
            Ok(if known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => not_told(&error),
    }
}

async fn dead_letters(options: DeadLettersArgs) -> anyhow::Result<ExitCode> {
    let DeadLettersArgs { command, webhook, admin } = options;
    let asked = Asked { admin: admin.admin_address, webhook };
    let output = &mut io::stdout();
    let told = match command.unwrap_or_default() {
        DeadLettersCommand::List(conditions) => asked.list(&conditions.into(), output).await,
        DeadLettersCommand::Show { id } => asked.show(id, output).await,
        DeadLettersCommand::Replay { which, dry_run } => asked.replay(&which.into(), dry_run, output).await,
    };
    match told {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(CommandError::Ask(error)) => not_told(&error),
        Err(error @ CommandError::Write(_)) => Err(error.into()),
    }
}

/// What the sidecar at the admin port refused, in its own words, or why it couldn't be asked.
fn not_told(error: &AskError) -> anyhow::Result<ExitCode> {
    match error {
        AskError::Refused { reason, .. } => writeln!(io::stderr(), "{reason}")?,
        error => writeln!(io::stderr(), "{error}")?,
    }
    Ok(ExitCode::FAILURE)
}

fn journal(options: &JournalArgs) -> anyhow::Result<ExitCode> {
    let is_sound = journal::run(options, io::stdout().lock()).context("look at the journals")?;
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(EXIT_DATA) })
}

fn filter_test(options: &FilterTestArgs) -> anyhow::Result<ExitCode> {
    let FilterTestArgs { config, filter, webhook, updates } = options;
    let filter = match filter {
        Some(file) => filter_test::read_filter(file),
        None => filter_test::choose(&config.source(), webhook.as_deref()),
    };
    let filter = match filter {
        Ok(filter) => filter,
        Err(problem) => {
            writeln!(io::stderr(), "{problem}")?;
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    };
    match filter_test::test_file(&filter, updates, &mut io::stdout().lock()) {
        Ok(summary) if summary.is_empty() => {
            writeln!(io::stderr(), "there is no update to try")?;
            Ok(ExitCode::from(EXIT_DATA))
        }
        Ok(summary) if summary.malformed > 0 => Ok(ExitCode::from(EXIT_DATA)),
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error @ TestError::Unreadable { .. }) => {
            writeln!(io::stderr(), "{error}")?;
            Ok(ExitCode::from(EXIT_DATA))
        }
        Err(error) => Err(error.into()),
    }
}

async fn stand_by() -> anyhow::Result<ExitCode> {
    signals::first_signal().context("listen for signals")?.await;
    Ok(ExitCode::SUCCESS)
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
        Err(StartError::State(error)) => {
            tracing::error!(%error, "configuration");
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(config: &ConfigSource) -> anyhow::Result<ExitCode> {
    match check::check(&config.source()) {
        Ok(policy) => {
            check::write_summary(&policy, io::stdout().lock())?;
            check::write_warnings(&policy, io::stderr().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            check::write_problems(&problems, io::stderr().lock())?;
            Ok(ExitCode::from(EXIT_CONFIGURATION))
        }
    }
}
