//! What a case costs on a system, once.

use std::time::Duration;

use crate::bench::{
    budget::count,
    machine::{processor_time, resident},
    report::{Case, Line},
    server::{Server, System},
};

/// Sums and percentiles of one measurement.
pub struct Measured {
    pub rps: u64,
    pub cpu_us_per_request: f64,
    pub latencies_us: [u64; 2],
    pub rss_kib: u64,
}

// === impl Measured ===

impl Measured {
    /// What has happened since that processor time.
    pub fn since(
        before: Duration,
        server: &Server,
        requests: u64,
        duration_us: u64,
        latencies_us: [u64; 2],
    ) -> anyhow::Result<Self> {
        let used = processor_time(server.pid)?.saturating_sub(before);
        Ok(Self {
            rps: requests * 1_000_000 / duration_us.max(1),
            cpu_us_per_request: used.as_secs_f64() * 1e6 / count(requests),
            latencies_us,
            rss_kib: resident(server.pid)?,
        })
    }

    pub fn line(self, system: System, case: Case) -> Line {
        let Self { rps, cpu_us_per_request, latencies_us: [p50_us, p99_us], rss_kib } = self;
        Line {
            system,
            case,
            rps: Some(rps),
            cpu_us_per_request: Some(cpu_us_per_request),
            p50_us: Some(p50_us),
            p99_us: Some(p99_us),
            rss_kib,
        }
    }
}
