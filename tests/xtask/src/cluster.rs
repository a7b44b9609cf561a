//! `cargo xtask cluster up|down|status`.

use std::io::Write as _;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use telegram_webhook_tests::cluster::Cluster;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start the cluster, or do nothing when it runs and is healthy
    Up,
    /// End the cluster and remove all that it made
    Down,
    /// Say what runs and how to use it; fails when the cluster is not healthy
    Status,
}

pub async fn run(arguments: Arguments) -> Result<()> {
    match arguments.action {
        Action::Up => {
            let cluster = Cluster::up(&say).await?;
            if cluster.is_ours() {
                say(&Cluster::status().await?.to_string());
            }
        }
        Action::Down => Cluster::down(&say).await?,
        Action::Status => {
            let status = Cluster::status().await?;
            say(&status.to_string());
            ensure!(status.is_healthy(), "the cluster is not healthy");
        }
    }
    Ok(())
}

/// A reader who left (`| head`) is no reason to leave the cluster half-way.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").ok();
}
