//! `cargo xtask chaos queue`: kill -9 at random moments under load, and a ledger of what became of every update.
//!
//! Telegram ([`telegram`](super::telegram)) sends over real TLS to a real sidecar, and the CRM ([`crm`](super::crm)) keeps the ledger.
//! Meanwhile the sidecar is killed and started again on the same state, sometimes before it even listens, and the CRM has bad moods.
//! At the end all is well, and the run waits until everything has arrived. Then the sidecar is killed once more, and copies of what it
//! has acknowledged are sent: none of them may be delivered.

mod plan;
pub(super) mod run;

use std::{ops::Range, time::Duration};

use anyhow::{Context as _, ensure};
use futures::future::BoxFuture;
use telegram_webhook_tests::binaries;

use self::run::Run;
use super::{broker::Backend, namespace};
use crate::{progress::Progress, services};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where updates wait
    #[arg(long, default_value = "embedded")]
    backend: Backend,
    /// How often something is killed: by default 1,000 times, and 200 times where there is a server, which is killed in turn with the
    /// sidecar
    #[arg(long)]
    kills: Option<u64>,
    /// How long everything runs between two kills, in milliseconds; now and then it is less
    #[arg(long, value_name = "MIN-MAX", default_value = "150-300", value_parser = milliseconds)]
    uptime_ms: Range<Duration>,
    /// Updates per second, as far as they are answered
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// Chats that they come from
    #[arg(long, default_value_t = 100)]
    chats: u64,
    /// Chooses the moments; a random one by default. What happens in between is up to the machine
    #[arg(long)]
    seed: Option<u64>,
    /// Cut the sidecar off from the server too, in a network namespace of the run's own (root)
    #[arg(long, conflicts_with = "disk_full")]
    partition: bool,
    /// Keep the state on a small disk that is filled and freed by turns (root)
    #[arg(long)]
    disk_full: bool,
    /// Build the sidecar as the image holds it
    #[arg(long)]
    release: bool,
}

/// Something that is killed and started again.
pub trait Victim: Send {
    /// Ends it at once, so that it can't do anything more; nothing to do where it doesn't run.
    fn kill(&mut self) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Starts it, and waits until it is of use. When the future is dropped it may run half-way.
    fn start(&mut self) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Whether it is worth while to do without it for long.
    fn is_missed(&self) -> bool {
        false
    }
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let progress = Progress::new();
    let Arguments { backend, partition, .. } = arguments;
    ensure!(
        !partition || backend != Backend::Embedded,
        "--partition: there is no way to cut to an embedded queue"
    );
    if partition && namespace::enter().await? {
        return Ok(());
    }
    if backend != Backend::Embedded {
        services::install_brokers(&progress).await?;
    }
    let kills = arguments.kills.unwrap_or(if backend == Backend::Embedded { 1000 } else { 200 });
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => getrandom::u64().context("draw a seed")?,
    };
    progress.say("building the sidecar (1 min cold, seconds warm)");
    let binary = if arguments.release {
        binaries::build_release(BINARY).await?
    } else {
        binaries::build(&[BINARY]).await?.remove(BINARY).context("cargo built no sidecar")?
    };
    progress.say(&format!("{}: {kills} kills under load; again the same: --seed {seed}", backend.name()));
    let mut run = Run::start(binary, &arguments, seed).await?;
    let judged = async {
        run.torment(kills, &progress).await?;
        run.settle(&progress).await
    };
    let verdict = judged.await.with_context(|| run.last_words())?;
    println!("{}: {verdict}", backend.name());
    ensure!(verdict.is_clean(), "what was promised didn't hold (--seed {seed})");
    Ok(())
}

/// Name of the binary.
const BINARY: &str = "telegram-webhook-sidecar";

fn milliseconds(text: &str) -> Result<Range<Duration>, &'static str> {
    let wrong = "must be two numbers with a hyphen between, the smaller one first";
    let (least, most) = text.split_once('-').ok_or(wrong)?;
    let parse = |text: &str| text.parse().map(Duration::from_millis).map_err(|_| wrong);
    let range = parse(least)?..parse(most)?;
    if range.is_empty() { Err(wrong) } else { Ok(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_between_kills_has_two_ends() {
        assert_eq!(milliseconds("150-300"), Ok(Duration::from_millis(150)..Duration::from_millis(300)));
        for wrong in ["150", "300-150", "1-x", "-"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }
}
