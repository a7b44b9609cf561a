//! `cargo xtask bench attack`: what genuine traffic notices while somebody attacks.
//!
//! Each attack meets a sidecar of its own. Genuine updates come at a fixed rate from 127.0.0.1, first in quiet, then during the
//! attack; the attackers come from a thousand other addresses. They share the clients' processor with the genuine client, which
//! goes first: what it waits for is the sidecar.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;
use serde::Serialize;
use telegram_webhook_load::{Attack, Attackers, Genuine};
use telegram_webhook_tests::sidecar::TOKEN;
use tokio::{process::Command, time::sleep};

use super::{
    budget::{self, Budget, count},
    machine::{peak_resident, raise_file_limit},
    server::Server,
    site::{self, Priority, Site, WRONG_TOKEN},
    tools,
};
use crate::progress::Progress;

/// Genuine updates per second.
const RATE: u64 = 100;
/// Where attackers come from: nobody, and a part of Telegram's networks as the configuration has them.
const UNLISTED: &str = "127.1.0.0/22";
const LISTED_ATTACKERS: &str = "127.2.0.0/22";
/// Time for an attack to be under way before anybody measures.
const RAMP: Duration = Duration::from_secs(1);
/// How many times its quiet value the p99 may be.
const MAX_SLOWDOWN: f64 = 10.0;
const MAX_MIB: f64 = 64.0;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print one line of JSON per attack, and the budgets on standard error
    #[arg(long)]
    json: bool,
    /// How long genuine traffic is measured, in quiet and under each attack
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Connections that the attackers hold open
    #[arg(long, default_value_t = 2000)]
    connections: u32,
    /// New connections per second, where the sidecar closes them
    #[arg(long, default_value_t = 1000)]
    new_per_second: u32,
    /// Let the attackers come from addresses that are listed as Telegram's
    #[arg(long)]
    listed: bool,
    /// Go before everything else that this machine does: measures well on a busy one, and disturbs whatever keeps it busy
    #[arg(long)]
    real_time: bool,
    /// This attack only
    #[arg(long)]
    only: Option<Attack>,
}

#[derive(Serialize)]
struct Row {
    attack: String,
    quiet_p99_us: u64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
    sent: u64,
    refused: u64,
    peak_rss_kib: u64,
    attackers: u64,
    closed: u64,
    answers: BTreeMap<String, u64>,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let progress = Progress::new();
    let binaries = tools::build(&progress).await?;
    raise_file_limit()?;
    let mut site = Site::new(binaries, Priority::new(arguments.real_time)).await?;
    let attacks = Attack::value_variants();
    let attacks = attacks.iter().copied().filter(|attack| arguments.only.is_none_or(|only| only == *attack));
    if !arguments.json {
        println!("\n  {}", Row::HEADER);
    }
    let mut rows = Vec::new();
    for attack in attacks {
        progress.say(&format!("{attack} ({} s)", arguments.seconds * 2 + 3));
        let row = meet(&mut site, attack, &arguments).await.with_context(|| attack.to_string())?;
        if arguments.json {
            println!("{}", serde_json::to_string(&row)?);
        } else {
            println!("  {}", row.text());
        }
        rows.push(row);
    }
    budget::judge(&budgets(&rows))
}

/// A sidecar in quiet, then under one attack.
async fn meet(site: &mut Site, attack: Attack, arguments: &Arguments) -> anyhow::Result<Row> {
    let seconds = arguments.seconds;
    let mut config = site.sidecar_config();
    if arguments.listed {
        config.source_address.ranges.push(LISTED_ATTACKERS.to_owned());
    }
    let server = Server::start_sidecar(site, &config).await?;
    genuine(site, &server, 1).await?;
    let quiet = genuine(site, &server, seconds).await?;
    ensure!(quiet.refused == 0, "{} of {} updates refused in quiet", quiet.refused, quiet.sent);

    let mut load = attackers(site, &server, attack, arguments);
    let attackers = tokio::spawn(async move { site::outcome(&mut load).await });
    sleep(RAMP).await;
    let Genuine { sent, refused, p50_us, p99_us, max_us } = genuine(site, &server, seconds).await?;
    let Attackers { opened, closed, statuses } = attackers.await??;
    ensure!(!statuses.contains_key("200"), "an attacker was answered 200");
    let peak_rss_kib = peak_resident(server.pid)?;
    Ok(Row {
        attack: attack.to_string(),
        quiet_p99_us: quiet.p99_us,
        p50_us,
        p99_us,
        max_us,
        sent,
        refused,
        peak_rss_kib,
        attackers: opened,
        closed,
        answers: statuses,
    })
}

async fn genuine(site: &mut Site, server: &Server, seconds: u64) -> anyhow::Result<Genuine> {
    let first_id = site.first_id().to_string();
    let mut load = site.load(&["genuine"], server.address, TOKEN);
    load.args(["--rate", &RATE.to_string(), "--seconds", &seconds.to_string(), "--first-id", &first_id]);
    site::outcome(&mut load).await
}

fn attackers(site: &Site, server: &Server, attack: Attack, arguments: &Arguments) -> Command {
    let from = if arguments.listed { LISTED_ATTACKERS } else { UNLISTED };
    let seconds = RAMP.as_secs() + arguments.seconds + 1;
    let mut command =
        site.background_load(&["attack", &attack.to_string(), "--from", from], server.address, WRONG_TOKEN);
    command.args(["--seconds", &seconds.to_string(), "--connections", &arguments.connections.to_string()]);
    command.args(["--rate", &arguments.new_per_second.to_string()]);
    command
}

fn budgets(rows: &[Row]) -> Vec<Budget> {
    let budgets = rows.iter().flat_map(|row| {
        let slowdown = count(row.p99_us) / count(row.quiet_p99_us.max(1));
        let of = |what: &str, measured, limit, unit| Budget {
            what: format!("{}: {what}", row.attack),
            measured: Some(measured),
            limit,
            unit,
        };
        [
            of("p99 of genuine updates", slowdown, MAX_SLOWDOWN, "of quiet's"),
            of("genuine updates refused", count(row.refused), 0.0, ""),
            of("memory", count(row.peak_rss_kib) / 1024.0, MAX_MIB, "MiB"),
        ]
    });
    budgets.collect()
}

// === impl Row ===

impl Row {
    const HEADER: &str = "attack           quiet p99   p50 us   p99 us   max us  refused  peak KiB  attackers   closed  answers";

    fn text(&self) -> String {
        let Self {
            attack,
            quiet_p99_us,
            p50_us,
            p99_us,
            max_us,
            sent,
            refused,
            peak_rss_kib,
            attackers,
            closed,
            answers,
        } = self;
        let refused = format!("{refused}/{sent}");
        let answers: Vec<_> = answers.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        format!(
            "{attack:<15} {quiet_p99_us:>10} {p50_us:>8} {p99_us:>8} {max_us:>8} {refused:>8} {peak_rss_kib:>9} {attackers:>10} \
             {closed:>8}  {}",
            answers.join(", ")
        )
    }
}
