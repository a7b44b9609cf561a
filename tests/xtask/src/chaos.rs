//! `cargo xtask chaos`: whether what was promised holds while everything is killed, again and again, at random moments.

mod broker;
mod crm;
mod dice;
mod disk;
mod ledger;
mod namespace;
mod queue;
mod sidecar;
mod telegram;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Whether each acknowledged update reaches the CRM, once and in order; fails when one doesn't
    Queue(queue::Arguments),
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.what {
        What::Queue(arguments) => queue::run(arguments).await,
    }
}
