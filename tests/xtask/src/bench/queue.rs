//! `cargo xtask bench queue`: what each place costs where updates can wait for the CRM.
//!
//! Measured at the sidecar's port, as Telegram would: what an answer takes when updates come at a fixed rate, and how many it can take
//! when they come as fast as they are answered, while the CRM takes what it is given. One row per backend.
//!
//! A broker is a server of its own, which keeps what it acknowledges as the sidecar's manual asks of it. It runs beside the clients and
//! the CRM, on their processor: where that is what limits, more can be had on a larger machine.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;
use serde::Serialize;
use telegram_webhook_load::Genuine;
use telegram_webhook_sidecar_config::{self as config, Delivery, WebhookConfig};
use telegram_webhook_tests::sidecar::{PATH, TOKEN};
use tokio::time::Instant;

use super::{
    ingress::until_nothing_waits,
    machine::{peak_resident, raise_file_limit, written},
    server::Server,
    site::{self, Priority, Site},
    tools,
    wrk::{self, Expected},
};
use crate::{
    chaos::broker::{Backend, Broker},
    progress::Progress,
    services,
};

/// Updates per second: what every backend can take.
const RATE: &str = "1000";
/// Seconds until everything is as it will be.
const WARM_UP: u64 = 3;
/// That may wait in RabbitMQ: as many as can be said.
const MAX_UPDATES: u64 = 1_000_000;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print one line of JSON per backend
    #[arg(long)]
    json: bool,
    /// Go before everything else that this machine does: measures well on a busy one, and disturbs whatever keeps it busy
    #[arg(long)]
    real_time: bool,
    /// How long each measurement takes
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// This backend only
    #[arg(long)]
    only: Option<Backend>,
}

/// What one backend costs.
#[derive(Serialize)]
struct Row {
    backend: Backend,
    /// Answered, when updates come as fast as they are answered.
    answered_per_second: u64,
    /// The same updates, until the CRM had the last one.
    delivered_per_second: u64,
    /// Of the answer, at 1,000 updates per second.
    p50_us: u64,
    p99_us: u64,
    peak_rss_kib: u64,
    bytes_written_per_update: u64,
    /// None where there is no broker.
    broker: Option<BrokerCosts>,
}

/// The same of the broker's process.
#[derive(Serialize)]
struct BrokerCosts {
    peak_rss_kib: u64,
    bytes_written_per_update: u64,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let progress = Progress::new();
    tools::install_load(&progress).await?;
    if arguments.only != Some(Backend::Embedded) {
        services::install_brokers(&progress).await?;
    }
    let binaries = tools::build(&progress).await?;
    raise_file_limit()?;
    let mut site = Site::new(binaries, Priority::new(arguments.real_time)).await?;
    let Arguments { json, seconds, only, .. } = arguments;
    if !json {
        println!("\n  {}", Row::HEADER);
    }
    let backends = Backend::value_variants().iter().copied();
    for backend in backends.filter(|backend| only.is_none_or(|only| only == *backend)) {
        progress.say(&format!("{} ({} s)", backend.name(), seconds * 2 + 9));
        let row = measure(&mut site, backend, seconds).await.context(backend.name())?;
        if json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            println!("  {}", row.text());
        }
    }
    Ok(())
}

async fn measure(site: &mut Site, backend: Backend, seconds: u64) -> anyhow::Result<Row> {
    let folder = site.state()?;
    let broker = backend.start_under(folder.path()).await?;
    let config = site.sidecar_config();
    let delivery = Delivery { backend: with_room(broker.as_ref())?, ..config.delivery.clone() };
    let server = Server::start_sidecar(site, &WebhookConfig { delivery, ..config }).await?;
    // a broker makes its queues when the first updates come
    genuine(site, &server, WARM_UP).await?;
    let Genuine { p50_us, p99_us, .. } = genuine(site, &server, seconds).await?;

    let broker = broker.as_ref().map(Broker::pid).transpose()?;
    let broker_bytes = broker.map(written).transpose()?.unwrap_or_default();
    let (taken, bytes, begun) = (site.taken_by_crm().await?, written(server.pid)?, Instant::now());
    let outcome = wrk::run(site, &server, PATH, TOKEN, Expected::Accepted, seconds).await?;
    let (delivered, until) = until_nothing_waits(site, taken, outcome.requests).await?;
    let per_update = |bytes: u64| bytes / delivered.max(1);
    let broker = broker.map(|pid| {
        let bytes = written(pid)? - broker_bytes;
        anyhow::Ok(BrokerCosts {
            peak_rss_kib: peak_resident(pid)?,
            bytes_written_per_update: per_update(bytes),
        })
    });
    Ok(Row {
        backend,
        answered_per_second: per_second(outcome.requests, Duration::from_micros(outcome.duration_us)),
        delivered_per_second: per_second(delivered, until - begun),
        p50_us,
        p99_us,
        peak_rss_kib: peak_resident(server.pid)?,
        bytes_written_per_update: per_update(written(server.pid)? - bytes),
        broker: broker.transpose()?,
    })
}

/// What the sidecar has to know of the broker, which takes more than comes: nothing is refused.
fn with_room(broker: Option<&Broker>) -> anyhow::Result<config::Backend> {
    let mut backend = broker.map(Broker::backend).transpose()?.unwrap_or_default();
    if let config::Backend::RabbitMq(rabbitmq) = &mut backend {
        rabbitmq.max_updates = MAX_UPDATES;
    }
    Ok(backend)
}

async fn genuine(site: &mut Site, server: &Server, seconds: u64) -> anyhow::Result<Genuine> {
    let taken = site.taken_by_crm().await?;
    let first_id = site.first_id().to_string();
    let mut load = site.load(&["genuine", "--rate", RATE], server.address, TOKEN);
    load.args(["--seconds", &seconds.to_string(), "--first-id", &first_id]);
    let outcome: Genuine = site::outcome(&mut load).await?;
    let Genuine { sent, refused, .. } = outcome;
    ensure!(refused == 0, "{refused} of {sent} updates refused");
    until_nothing_waits(site, taken, sent).await?;
    Ok(outcome)
}

fn per_second(count: u64, time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    count * 1_000_000 / micros.max(1)
}

// === impl Row ===

impl Row {
    const HEADER: &str = "backend    answered/s  delivered/s   p50 us   p99 us  peak KiB  bytes/update  broker: peak KiB  bytes/update";

    fn text(&self) -> String {
        let Self {
            backend,
            answered_per_second,
            delivered_per_second,
            p50_us,
            p99_us,
            peak_rss_kib,
            bytes_written_per_update,
            broker,
        } = self;
        let costs = |of: fn(&BrokerCosts) -> u64| {
            broker.as_ref().map_or_else(|| "-".to_owned(), |costs| of(costs).to_string())
        };
        format!(
            "{:<10} {answered_per_second:>10} {delivered_per_second:>12} {p50_us:>8} {p99_us:>8} {peak_rss_kib:>9} \
             {bytes_written_per_update:>13} {:>17} {:>13}",
            backend.name(),
            costs(|costs| costs.peak_rss_kib),
            costs(|costs| costs.bytes_written_per_update),
        )
    }
}
