//! `cargo xtask bench`: whether the sidecar keeps its budgets, measured side by side with what else could stand in its place.

mod attack;
mod budget;
mod ingress;
pub mod machine;
mod queue;
mod report;
mod server;
mod site;
mod tools;
mod wrk;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What a request costs, and the memory; fails when a budget is broken
    Ingress(ingress::Arguments),
    /// What each place costs where updates can wait for the CRM
    Queue(queue::Arguments),
    /// What genuine traffic notices of each kind of attack; fails when it notices too much
    Attack(attack::Arguments),
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.what {
        What::Ingress(arguments) => ingress::run(arguments).await,
        What::Queue(arguments) => queue::run(arguments).await,
        What::Attack(arguments) => attack::run(arguments).await,
    }
}
