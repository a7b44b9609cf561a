//! `cargo xtask chaos day`: a day without a CRM, and then it is back.
//!
//! Nobody listens at the CRM's port while a day passes for a real sidecar ([`clock`]) and Telegram ([`telegram`]) hands it, over real
//! TLS, what is written to the bot in that time, as soon as it is written. It is killed now and then meanwhile and opens what waits
//! anew. At the end of the day the CRM is there, and the run waits until everything has arrived. How much memory the sidecar takes is
//! looked at all the time ([`memory`]), and how much waits at Telegram.

mod clock;
mod memory;
mod metrics;
mod outcome;
mod run;
mod telegram;

use anyhow::Context as _;
use telegram_webhook_tests::{binaries, tools};

use self::run::Run;
use crate::progress::Progress;

/// Name of the binary.
const BINARY: &str = "telegram-webhook-sidecar";
/// What makes a day pass.
const PACKAGES: &[(&str, &[&str])] = &[("faketime", &["faketime"])];

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Updates of the day
    #[arg(long, default_value_t = 100_000)]
    updates: u64,
    /// Chats that they come from
    #[arg(long, default_value_t = 3_000)]
    chats: u64,
    /// How often the sidecar is killed in the course of the day
    #[arg(long, default_value_t = 2)]
    kills: u64,
    /// Chooses which chat each update is of; a random one by default
    #[arg(long)]
    seed: Option<u64>,
    /// Build the sidecar as the image holds it
    #[arg(long)]
    release: bool,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let progress = Progress::new();
    tools::require(PACKAGES, &progress.sayer()).await?;
    progress.say("building the sidecar (1 min cold, seconds warm)");
    let binary = if arguments.release {
        binaries::build_release(BINARY).await?
    } else {
        binaries::build(&[BINARY]).await?.remove(BINARY).context("cargo built no sidecar")?
    };
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => getrandom::u64().context("draw a seed")?,
    };
    let Arguments { updates, chats, .. } = arguments;
    progress.say(&format!("a day with {updates} updates of {chats} chats and no CRM (--seed {seed})"));
    let mut run = Run::start(binary, &arguments, seed).await?;
    let outcome = async {
        run.day(&progress).await?;
        run.evening(&progress).await
    };
    let outcome = outcome.await.with_context(|| run.last_words())?;
    println!("{outcome}");
    outcome.judge(updates)
}
