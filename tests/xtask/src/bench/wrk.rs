//! wrk: 40 keep-alive connections of updates.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde::Deserialize;

use super::{
    server::Server,
    site::{self, Site},
};

const SCRIPT: &str = include_str!("../../bench/updates.lua");
const CONNECTIONS: u32 = 40;

/// What the script prints.
#[derive(Deserialize, Debug)]
pub struct Outcome {
    pub requests: u64,
    pub duration_us: u64,
    failed: u64,
    refused: u64,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// What must become of the requests.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    Accepted,
    Refused,
}

/// Sends updates for a while; fails when what became of them is not what is expected.
pub async fn run(
    site: &mut Site,
    server: &Server,
    path: &str,
    token: &str,
    expected: Expected,
    seconds: u64,
) -> anyhow::Result<Outcome> {
    let url = format!("https://{}{path}", server.address);
    let first_id = site.first_id().to_string();
    let mut wrk = site.client(Path::new("wrk"));
    wrk.args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{seconds}s"), "--script"])
        .arg(script(site)?)
        .args([&url, "--", &first_id, token]);
    let outcome: Outcome = site::outcome(&mut wrk).await?;
    let refused = match expected {
        Expected::Accepted => 0,
        Expected::Refused => outcome.requests,
    };
    let Outcome { requests, failed, .. } = outcome;
    ensure!(requests > 0 && failed == 0 && outcome.refused == refused, "{expected:?}? {outcome:?}");
    Ok(outcome)
}

fn script(site: &Site) -> anyhow::Result<PathBuf> {
    let file = site.file("updates.lua");
    std::fs::write(&file, SCRIPT)?;
    Ok(file)
}
