//! A new connection for every update: what a handshake costs, and what it costs to be rid of somebody who is banned.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::IpAddr,
    time::Duration,
};

use futures::future::join_all;
use ipnet::Ipv4Net;
use telegram_webhook_load::Connections;
use tokio::time::{Instant, timeout};

use crate::{
    client::{Connector, Target},
    latency::percentiles,
    update,
};

/// A connection that is neither answered nor closed by then counts as hanging.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Addresses to connect from, one after the other
    #[arg(long)]
    from: Ipv4Net,
    /// Connections at a time
    #[arg(long)]
    concurrency: usize,
    /// Connections at most
    #[arg(long)]
    max: u64,
    /// Time at most
    #[arg(long)]
    seconds: u64,
    /// Id of the first update
    #[arg(long)]
    first_id: u64,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<Connections> {
    let Arguments { target, from, concurrency, max, seconds, first_id } = arguments;
    let connector = Connector::new(&target)?;
    let addresses: Vec<_> = from.hosts().map(IpAddr::V4).collect();
    anyhow::ensure!(!addresses.is_empty(), "no addresses");
    let started = Instant::now();
    let deadline = started + Duration::from_secs(seconds);
    let (next, ends, latencies) =
        (Cell::new(0), RefCell::new(BTreeMap::<_, u64>::new()), RefCell::new(Vec::new()));
    let client = || async {
        while next.get() < max && Instant::now() < deadline {
            let number: u64 = next.replace(next.get() + 1);
            let index = usize::try_from(number).unwrap_or_default() % addresses.len();
            let Some(address) = addresses.get(index) else { return };
            let request = update::request(&target, first_id + number, "");
            let begun = Instant::now();
            let end = timeout(PATIENCE, once(&connector, *address, &request)).await;
            latencies.borrow_mut().push(begun.elapsed());
            *ends.borrow_mut().entry(end.unwrap_or_else(|_| "hanging".to_owned())).or_default() += 1;
        }
    };
    join_all((0..concurrency).map(|_| client())).await;
    let duration_us = u64::try_from(started.elapsed().as_micros())?;
    let [p50_us, p99_us, _] = percentiles(latencies.into_inner());
    Ok(Connections { requests: next.get(), duration_us, ends: ends.into_inner(), p50_us, p99_us })
}

async fn once(connector: &Connector, from: IpAddr, request: &[u8]) -> String {
    let Ok(mut connection) = connector.open(from).await else {
        return "closed".to_owned();
    };
    let answer = connection.ask(request).await;
    connection.close().await;
    answer.map_or_else(|_| "closed".to_owned(), |status| status.to_string())
}
