//! Strangers without number: each sends two requests with a wrong token, so that the budget of one is exceeded.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::Ipv4Addr,
};

use futures::future::try_join_all;
use telegram_webhook_load::Spray;

use crate::{
    client::{Connector, Target},
    update,
};

/// Connections, as of a proxy in front.
const CONNECTIONS: usize = 16;
/// Requests of each client.
const EACH: u32 = 2;
/// Clients have the addresses from here on, skipping none: an ordinary part of the internet.
const FIRST: Ipv4Addr = Ipv4Addr::new(41, 0, 0, 0);

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// How many clients
    #[arg(long)]
    clients: u32,
    /// How many clients have been before
    #[arg(long, default_value_t = 0)]
    skip: u32,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<Spray> {
    let Arguments { target, clients, skip } = arguments;
    let connector = Connector::new(&target)?;
    let (next, statuses) = (Cell::new(0), RefCell::new(BTreeMap::<_, u64>::new()));
    let client = || async {
        let mut connection = connector.open(Ipv4Addr::LOCALHOST.into()).await?;
        while next.get() < clients * EACH {
            let number = next.replace(next.get() + 1);
            let address = Ipv4Addr::from_bits(FIRST.to_bits() + skip + number / EACH);
            let line = format!("X-Forwarded-For: {address}\r\n");
            let request = update::request(&target, number.into(), &line);
            let status = connection.ask(&request).await?;
            *statuses.borrow_mut().entry(status).or_default() += 1;
        }
        anyhow::Ok(())
    };
    try_join_all((0..CONNECTIONS).map(|_| client())).await?;
    Ok(Spray { requests: next.get().into(), statuses: statuses.into_inner() })
}
