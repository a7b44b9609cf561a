//! The cases in which the sidecar stores updates.
//!
//! `durable` counts what it takes to receive, verify, store and answer. What it takes to deliver is kept out in that nobody listens at
//! the CRM's port: whatever the sidecar does to find that out, again and again, is in the measured time all the same. Each measurement has a
//! sidecar of its own, so that what waits is what came in one measurement and not in all of them.
//!
//! `deliver` counts everything, from the first byte until the CRM has the last update and nothing more comes.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::ensure;
use telegram_webhook_load::Genuine;
use telegram_webhook_sidecar_config::{Upstream, WebhookConfig};
use telegram_webhook_tests::sidecar::{PATH, TOKEN};
use tokio::{
    net::TcpSocket,
    time::{Instant, sleep},
};

use super::Measured;
use crate::bench::{
    machine::processor_time,
    server::Server,
    site::{self, Site},
    wrk::{self, Expected, Outcome},
};

/// Updates per second, over as many connections as Telegram opens where nobody tells it otherwise.
const RATE: &str = "5000";
const CONNECTIONS: &str = "40";
/// Nothing more comes after so long, whether all is there or not.
const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two questions to the CRM.
const PAUSE: Duration = Duration::from_millis(20);

pub async fn durable(site: &mut Site, seconds: u64) -> anyhow::Result<Measured> {
    // bound and not listening, so that nobody else gets the port
    let nobody = TcpSocket::new_v4()?;
    nobody.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let config = site.sidecar_config();
    let upstream = Upstream { port: nobody.local_addr()?.port(), ..config.upstream.clone() };
    let server = Server::start_sidecar(site, &WebhookConfig { upstream, ..config }).await?;
    let before = processor_time(server.pid)?;
    let outcome = wrk::run(site, &server, PATH, TOKEN, Expected::Accepted, seconds).await?;
    Measured::since(before, &server, outcome.requests, outcome.duration_us, [outcome.p50_us, outcome.p99_us])
}

/// Requests per second are those that were answered; processor time is that per update delivered.
pub async fn deliver(site: &mut Site, server: &Server, seconds: u64) -> anyhow::Result<Measured> {
    let taken = site.taken_by_crm().await?;
    let before = processor_time(server.pid)?;
    let outcome = wrk::run(site, server, PATH, TOKEN, Expected::Accepted, seconds).await?;
    let Outcome { requests, duration_us, p50_us, p99_us, .. } = outcome;
    let (delivered, _) = until_nothing_waits(site, taken, requests).await?;
    let measured = Measured::since(before, server, delivered, duration_us, [p50_us, p99_us])?;
    Ok(Measured { rps: requests * 1_000_000 / duration_us.max(1), ..measured })
}

pub async fn paced(site: &mut Site, server: &Server, seconds: u64) -> anyhow::Result<Measured> {
    let taken = site.taken_by_crm().await?;
    let before = processor_time(server.pid)?;
    let first_id = site.first_id().to_string();
    let mut load =
        site.load(&["genuine", "--rate", RATE, "--connections", CONNECTIONS], server.address, TOKEN);
    load.args(["--seconds", &seconds.to_string(), "--first-id", &first_id]);
    let Genuine { sent, refused, p50_us, p99_us, .. } = site::outcome(&mut load).await?;
    ensure!(refused == 0, "{refused} of {sent} updates refused");
    let (delivered, _) = until_nothing_waits(site, taken, sent).await?;
    Measured::since(before, server, delivered, seconds * 1_000_000, [p50_us, p99_us])
}

/// Waits until the CRM has at least so many updates more than before and gets no more; how many more it has, and since when. What was
/// under way when the load ended was answered to nobody, and is delivered all the same.
pub async fn until_nothing_waits(site: &Site, before: u64, least: u64) -> anyhow::Result<(u64, Instant)> {
    let (mut delivered, mut since) = (0, Instant::now());
    loop {
        let now = site.taken_by_crm().await?.saturating_sub(before);
        if now > delivered {
            (delivered, since) = (now, Instant::now());
        }
        if delivered >= least && since.elapsed() >= QUIET {
            return Ok((delivered, since));
        }
        ensure!(since.elapsed() < PATIENCE, "the CRM has {delivered} of {least} updates and gets no more");
        sleep(PAUSE).await;
    }
}
