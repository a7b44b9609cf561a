//! Genuine traffic at a fixed rate over keep-alive connections. Each update is due at a time of its own, whatever became of those
//! before it, and its latency counts from then: a server that stalls is not given the pause to recover.

use std::{net::Ipv4Addr, time::Duration};

use futures::future::join_all;
use telegram_webhook_load::Genuine;
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    client::{Connection, Connector, Target},
    latency::percentiles,
    update,
};

/// Telegram's own patience is longer, but what takes this long is lost for this benchmark.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until the first update is due: connections are open by then.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Updates per second
    #[arg(long)]
    rate: u32,
    /// Connections: by default as many as a bot's updates usually come over
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// How long
    #[arg(long)]
    seconds: u32,
    /// Id of the first update
    #[arg(long)]
    first_id: u64,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<Genuine> {
    let connector = Connector::new(&arguments.target)?;
    let start = Instant::now() + SETTLE;
    let lanes =
        join_all((0..arguments.connections).map(|lane| lane_of(lane, start, &connector, &arguments))).await;
    let outcomes: Vec<_> = lanes.into_iter().flatten().collect();
    let refused = outcomes.iter().filter(|(accepted, _)| !accepted).count() as u64;
    let sent = outcomes.len() as u64;
    let [p50_us, p99_us, max_us] = percentiles(outcomes.into_iter().map(|(_, latency)| latency).collect());
    Ok(Genuine { sent, refused, p50_us, p99_us, max_us })
}

/// The updates of one connection: every sixteenth, where there are sixteen.
async fn lane_of(
    lane: u32,
    start: Instant,
    connector: &Connector,
    arguments: &Arguments,
) -> Vec<(bool, Duration)> {
    let Arguments { target, rate, connections, seconds, first_id } = arguments;
    let lane = usize::try_from(lane).unwrap_or_default();
    let mut connection = None;
    let mut outcomes = Vec::new();
    // opened and used at once, as Telegram does it, but before anything is due: the handshake is not what is measured
    let first = update::request(target, first_id + u64::from(rate * seconds) + lane as u64, "");
    if !attempt(&mut connection, connector, &first).await {
        outcomes.push((false, Duration::ZERO));
    }
    for number in (0..rate * seconds).skip(lane).step_by(*connections as usize) {
        let due = start + Duration::from_secs(1) * number / *rate;
        let request = update::request(target, first_id + u64::from(number), "");
        // from when it was due, if the one before it took that long; a timer that fires late is no fault of the server's
        let late = Instant::now() > due;
        sleep_until(due).await;
        let begun = if late { due } else { Instant::now() };
        let accepted = attempt(&mut connection, connector, &request).await;
        outcomes.push((accepted, begun.elapsed()));
    }
    outcomes
}

/// Sends one; after a failure the next gets a new connection.
async fn attempt(connection: &mut Option<Connection>, connector: &Connector, request: &[u8]) -> bool {
    let sent = timeout(PATIENCE, send(connection, connector, request)).await;
    let accepted = sent.unwrap_or(false);
    if !accepted {
        *connection = None;
    }
    accepted
}

async fn send(connection: &mut Option<Connection>, connector: &Connector, request: &[u8]) -> bool {
    let mut open = match connection.take() {
        Some(open) => open,
        None => match connector.open(Ipv4Addr::LOCALHOST.into()).await {
            Ok(open) => open,
            Err(_) => return false,
        },
    };
    let accepted = open.ask(request).await.is_ok_and(|status| status == 200);
    *connection = Some(open);
    accepted
}
