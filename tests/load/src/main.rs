//! Load for `cargo xtask bench`: the clients that wrk can't be, and the CRM behind every system. A package of its own, because it
//! has to be fast, and an optimised build of it takes a minute, not five.
//!
//! Each command ends by itself and prints one line of JSON.

mod attack;
mod connections;
mod crm;
mod genuine;
mod latency;
mod spray;

use clap::{Parser, Subcommand};
use serde::Serialize;
use telegram_webhook_load::{client, update};

#[derive(Parser)]
#[command(about = "Makes load for the benchmarks of the sidecar")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve as the CRM: 200 without a body, whatever comes; prints its port at the start and goes on until it is ended
    Crm,
    /// Send one update per connection
    Connections(connections::Arguments),
    /// Send requests with a wrong token, each pair from a client of its own by X-Forwarded-For
    Spray(spray::Arguments),
    /// Send updates at a fixed rate, as Telegram does
    Genuine(genuine::Arguments),
    /// Attack
    Attack(attack::Arguments),
}

// one thread: it has one processor, shared with the CRM
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Crm => crm::run().await,
        Command::Connections(arguments) => print(&connections::run(arguments).await?),
        Command::Spray(arguments) => print(&spray::run(arguments).await?),
        Command::Genuine(arguments) => print(&genuine::run(arguments).await?),
        Command::Attack(arguments) => print(&attack::run(arguments).await?),
    }
}

fn print(outcome: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(outcome)?);
    Ok(())
}
