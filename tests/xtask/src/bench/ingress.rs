//! `cargo xtask bench ingress`: processor time and memory of the sidecar, side by side with nginx, HAProxy and Envoy doing what
//! they can of its work.
//!
//! Servers share one processor, clients and the CRM another. Requests per second say more about the clients than about the
//! servers; what is compared is the processor time that a server uses per request. Rounds go through all systems in turn, so that
//! whatever else the machine does hits them alike.

mod measured;
mod queued;
mod servers;

use std::{path::Path, time::Duration};

use anyhow::{bail, ensure};
use telegram_webhook_load::{Connections, Spray};
use telegram_webhook_sidecar_config::{AddressMode, AddressSource, ClientAddress, Rate};
use telegram_webhook_tests::sidecar::{PATH, TOKEN};
use tokio::time::sleep;

pub use self::queued::until_nothing_waits;
use self::{measured::Measured, servers::Servers};
use super::{
    budget::{self, Budget, count},
    machine::{peak_resident, processor_time, raise_file_limit, resident},
    report::{Case, Line, Report},
    server::{Server, System},
    site::{self, BANNED, Priority, Site, WRONG_TOKEN},
    tools,
    wrk::{self, Expected, Outcome},
};
use crate::progress::Progress;

/// A path as long as the right one.
const WRONG_PATH: &str = "/telegram/0123456789abcdef0123456789abcdeX";
/// Connections at a time, where each is for one request.
const CONCURRENCY: &str = "16";
/// Beyond it the client's ports would run out.
const MAX_CONNECTIONS: &str = "20000";
/// Strangers whose failures the sidecar must remember.
const CLIENTS: u64 = 100_000;
/// So many have been before anybody counts: buffers are there.
const WARM_UP_CLIENTS: u64 = 1000;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print one line of JSON per system and case, and the budgets on standard error
    #[arg(long)]
    json: bool,
    /// Go before everything else that this machine does: measures well on a busy one, and disturbs whatever keeps it busy
    #[arg(long)]
    real_time: bool,
    /// How often everything is measured; the result is the median
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each measurement takes
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Measure these cases of the rounds alone, and what they are compared with; budgets of others are not judged
    #[arg(long = "case", value_enum, value_name = "CASE")]
    cases: Vec<Case>,
}

// === impl Arguments ===

impl Arguments {
    /// Every case of a round that is asked for or is what one that is asked for is compared with.
    fn cases(&self) -> Vec<Case> {
        let asked = |case: Case| self.cases.is_empty() || self.cases.contains(&case);
        let is_compared_with =
            |case: Case| Case::ROUND.iter().any(|other| other.yardstick() == case && asked(*other));
        Case::ROUND.into_iter().filter(|case| asked(*case) || is_compared_with(*case)).collect()
    }
}

pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let progress = Progress::new();
    let envoy = tools::install(&progress).await?;
    let binaries = tools::build(&progress).await?;
    raise_file_limit()?;
    let mut site = Site::new(binaries, Priority::new(arguments.real_time)).await?;
    let mut report = Report::default();
    rounds(&arguments, &mut site, &envoy, &progress, &mut report).await?;
    if arguments.cases.is_empty()
        && let Err(error) = limited_addresses(&site, &progress, &mut report).await
    {
        report.fail(format!("limited addresses: {error:#}"));
    }
    if arguments.json {
        report.print_json()?;
    } else {
        report.print_table();
    }
    let mut budgets = budgets(&report);
    if !arguments.cases.is_empty() {
        budgets.retain(|budget| budget.measured.is_some());
    }
    budget::judge(&budgets)?;
    report.ensure_whole()
}

async fn rounds(
    arguments: &Arguments,
    site: &mut Site,
    envoy: &Path,
    progress: &Progress,
    report: &mut Report,
) -> anyhow::Result<()> {
    let servers = Servers::start(site, envoy).await?;
    sleep(Duration::from_secs(1)).await;
    for system in System::ALL {
        let server = servers.of(system, Case::Idle)?;
        report.add(Line::memory(system, Case::Idle, resident(server.pid)?));
    }
    let Arguments { rounds, seconds, .. } = arguments;
    let cases = arguments.cases();
    let in_a_round: usize = cases.iter().map(|case| case.systems().len()).sum();
    let estimate = u64::from(*rounds) * in_a_round as u64 * seconds;
    progress.say(&format!("{rounds} rounds of {seconds} s per case and system: {estimate} s"));
    for round in 1..=*rounds {
        for case in cases.iter().copied() {
            for system in case.systems() {
                match measure(site, *system, servers.of(*system, case)?, case, *seconds).await {
                    Ok(measured) => report.add(measured.line(*system, case)),
                    // the rest is worth knowing all the same
                    Err(error) => {
                        report.fail(format!("{} of {system} in round {round}: {error:#}", case.name()));
                    }
                }
            }
        }
        progress.say(&format!("round {round} of {rounds} is over"));
    }
    report.add(Line::memory(System::Sidecar, Case::FullLoad, peak_resident(servers.queued.pid)?));
    Ok(())
}

async fn measure(
    site: &mut Site,
    system: System,
    server: &Server,
    case: Case,
    seconds: u64,
) -> anyhow::Result<Measured> {
    let before = processor_time(server.pid)?;
    match case {
        Case::Durable => queued::durable(site, seconds).await,
        Case::Deliver => queued::deliver(site, server, seconds).await,
        Case::Paced => queued::paced(site, server, seconds).await,
        Case::Accept | Case::ForgedToken | Case::WrongPath => {
            let (path, token, expected) = match case {
                Case::Accept => (PATH, TOKEN, Expected::Accepted),
                Case::ForgedToken => (PATH, WRONG_TOKEN, Expected::Refused),
                _ => (WRONG_PATH, TOKEN, Expected::Refused),
            };
            let outcome = wrk::run(site, server, path, token, expected, seconds).await?;
            let Outcome { requests, duration_us, p50_us, p99_us, .. } = outcome;
            Measured::since(before, server, requests, duration_us, [p50_us, p99_us])
        }
        Case::BannedConnection | Case::Handshake => {
            let (from, expected) = match (case, system) {
                (Case::Handshake, _) => ("127.0.0.1/32", "200"),
                (_, System::Sidecar) => (BANNED, "closed"),
                _ => (BANNED, "403"),
            };
            let outcome = connections(site, server, from, seconds).await?;
            let Connections { requests, duration_us, ends, p50_us, p99_us } = outcome;
            ensure!(ends.get(expected) == Some(&requests), "expected {expected} but {ends:?}");
            Measured::since(before, server, requests, duration_us, [p50_us, p99_us])
        }
        Case::Idle | Case::FullLoad | Case::LimitedAddresses => bail!("no case of a round"),
    }
}

async fn connections(
    site: &mut Site,
    server: &Server,
    from: &str,
    seconds: u64,
) -> anyhow::Result<Connections> {
    let first_id = site.first_id().to_string();
    let mut load = site.load(&["connections", "--from", from], server.address, TOKEN);
    load.args(["--concurrency", CONCURRENCY, "--max", MAX_CONNECTIONS]);
    load.args(["--seconds", &seconds.to_string(), "--first-id", &first_id]);
    site::outcome(&mut load).await
}

/// What the sidecar needs to remember strangers, each of which has exceeded its budget.
async fn limited_addresses(site: &Site, progress: &Progress, report: &mut Report) -> anyhow::Result<()> {
    progress.say("100,000 strangers with wrong tokens, behind a proxy (20 s)");
    let mut config = site.sidecar_config();
    config.client_address = ClientAddress {
        source: AddressSource::XForwardedFor,
        trusted_proxies: vec!["127.0.0.0/8".to_owned()],
    };
    // else they would not get as far as the budgets
    config.source_address.mode = AddressMode::Off;
    config.limits.unauthenticated = Rate { requests: 1, window_seconds: 60 };
    config.limits.banned.clear();
    let server = Server::start_sidecar(site, &config).await?;
    let spray = async |skip: u64, clients: u64| -> anyhow::Result<u64> {
        let mut load = site.load(&["spray"], server.address, WRONG_TOKEN);
        load.args(["--skip", &skip.to_string(), "--clients", &clients.to_string()]);
        let Spray { requests, statuses } = site::outcome(&mut load).await?;
        let [failed, limited] = [401, 429].map(|status| statuses.get(&status).copied().unwrap_or_default());
        ensure!(failed == clients && limited == clients, "of {requests} requests: {statuses:?}");
        resident(server.pid)
    };
    let before = spray(0, WARM_UP_CLIENTS).await?;
    let after = spray(WARM_UP_CLIENTS, CLIENTS).await?;
    report.add(Line::memory(System::Sidecar, Case::LimitedAddresses, after.saturating_sub(before)));
    Ok(())
}

fn budgets(report: &Report) -> Vec<Budget> {
    let cost = |case: Case, limit| Budget {
        what: format!("processor time per request, {}", case.name()),
        measured: report.ratio(System::Sidecar, case),
        limit,
        unit: "of nginx's",
    };
    let memory = |what: &str, case, limit| Budget {
        what: what.to_owned(),
        measured: report.memory(case).map(|kib| count(kib) / 1024.0),
        limit,
        unit: "MiB",
    };
    vec![
        cost(Case::Accept, 1.0),
        cost(Case::Durable, 0.65),
        cost(Case::Deliver, 1.0),
        Budget {
            what: "p99 of the answer at 5,000 updates per second".to_owned(),
            measured: report.lateness(Case::Paced),
            limit: 2.0,
            unit: "ms after nginx's",
        },
        cost(Case::BannedConnection, 0.1),
        memory("memory when idle", Case::Idle, 16.0),
        memory("memory at full load", Case::FullLoad, 32.0),
        memory("memory for 100,000 limited addresses", Case::LimitedAddresses, 32.0),
    ]
}
