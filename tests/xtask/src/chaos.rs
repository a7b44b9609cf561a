//! `cargo xtask chaos`: whether what was promised holds while everything is killed, again and again, at random moments.

pub mod broker;
mod crm;
mod day;
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
    /// What a sidecar makes of a day without a CRM: whether all arrives afterwards, and in how little memory it waits
    Day(day::Arguments),
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.what {
        What::Queue(arguments) => queue::run(arguments).await,
        What::Day(arguments) => day::run(arguments).await,
    }
}
