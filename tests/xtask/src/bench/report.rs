//! What was measured: one line of JSON each, medians of rounds, a table for people.

mod case;

use std::{collections::BTreeMap, fmt};

use anyhow::ensure;
use serde::Serialize;

pub use self::case::Case;
use super::{budget::count, server::System};

/// One measurement, or the median of some. What a case has no value for is null.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    pub system: System,
    pub case: Case,
    pub rps: Option<u64>,
    pub cpu_us_per_request: Option<f64>,
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub rss_kib: u64,
}

/// All rounds, in the order in which they were measured.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
    failures: usize,
}

// === impl Line ===

impl Line {
    /// Memory and nothing else.
    pub fn memory(system: System, case: Case, rss_kib: u64) -> Self {
        Self { system, case, rps: None, cpu_us_per_request: None, p50_us: None, p99_us: None, rss_kib }
    }

    fn median(lines: &[&Self]) -> Option<Self> {
        let first = lines.first()?;
        let integer = |field: fn(&Self) -> Option<u64>| median(lines.iter().filter_map(|line| field(line)));
        Some(Self {
            system: first.system,
            case: first.case,
            rps: integer(|line| line.rps),
            cpu_us_per_request: median_of(lines.iter().filter_map(|line| line.cpu_us_per_request)),
            p50_us: integer(|line| line.p50_us),
            p99_us: integer(|line| line.p99_us),
            rss_kib: integer(|line| Some(line.rss_kib)).unwrap_or_default(),
        })
    }
}

// === impl Report ===

impl Report {
    pub fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Something was not as it must be, and so not measured.
    pub fn fail(&mut self, what: impl fmt::Display) {
        eprintln!("  FAILED  {what}");
        self.failures += 1;
    }

    pub fn ensure_whole(&self) -> anyhow::Result<()> {
        ensure!(self.failures == 0, "{} measurements failed", self.failures);
        Ok(())
    }

    /// Medians, one line per case and system.
    pub fn medians(&self) -> Vec<Line> {
        let mut groups: BTreeMap<_, Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            groups.entry((line.case, line.system)).or_default().push(line);
        }
        groups.values().filter_map(|lines| Line::median(lines)).collect()
    }

    /// Memory of the sidecar in a case.
    pub fn memory(&self, case: Case) -> Option<u64> {
        let of_case = |line: &&Line| (line.system, line.case) == (System::Sidecar, case);
        median(self.lines.iter().filter(of_case).map(|line| line.rss_kib))
    }

    /// Processor time per request in nginx's: the median of the rounds' ratios, because what else the machine does in a round
    /// slows both.
    pub fn ratio(&self, system: System, case: Case) -> Option<f64> {
        let cost = |line: &Line| line.cpu_us_per_request;
        let costs = self.values(system, case, cost).zip(self.values(System::Nginx, case.yardstick(), cost));
        median_of(costs.map(|(cost, nginx)| cost / nginx))
    }

    /// By how many milliseconds the sidecar's p99 is later than nginx's: the median of the rounds', for the same reason.
    pub fn lateness(&self, case: Case) -> Option<f64> {
        let p99 = |line: &Line| line.p99_us.map(count);
        let p99s = self.values(System::Sidecar, case, p99).zip(self.values(System::Nginx, case, p99));
        median_of(p99s.map(|(sidecar, nginx)| (sidecar - nginx) / 1000.0))
    }

    fn values(
        &self,
        system: System,
        case: Case,
        value: fn(&Line) -> Option<f64>,
    ) -> impl Iterator<Item = f64> {
        let of_case = move |line: &&Line| (line.system, line.case) == (system, case);
        self.lines.iter().filter(of_case).filter_map(value)
    }

    pub fn print_json(&self) -> anyhow::Result<()> {
        for line in self.medians() {
            println!("{}", serde_json::to_string(&line)?);
        }
        Ok(())
    }

    pub fn print_table(&self) {
        println!(
            "\n  {:<18} {:<8} {:>8} {:>12} {:>9} {:>8} {:>8} {:>8}",
            "case", "system", "rps", "CPU us/req", "of nginx", "p50 us", "p99 us", "RSS KiB"
        );
        let number = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        for line in self.medians() {
            let cost = line.cpu_us_per_request.map_or_else(String::new, |cost| format!("{cost:.1}"));
            let ratio = self.ratio(line.system, line.case);
            println!(
                "  {:<18} {:<8} {:>8} {cost:>12} {:>9} {:>8} {:>8} {:>8}",
                line.case.name(),
                line.system,
                number(line.rps),
                ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                number(line.p50_us),
                number(line.p99_us),
                line.rss_kib,
            );
        }
        println!();
    }
}

fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn median_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(system: System, cost: f64) -> Line {
        Line { cpu_us_per_request: Some(cost), ..Line::memory(system, Case::Accept, 1) }
    }

    #[test]
    fn a_ratio_compares_within_rounds() {
        let mut report = Report::default();
        for (nginx, sidecar) in [(10.0, 9.0), (30.0, 27.0), (10.0, 30.0)] {
            report.add(line(System::Nginx, nginx));
            report.add(line(System::Sidecar, sidecar));
        }
        assert_eq!(report.ratio(System::Sidecar, Case::Accept), Some(0.9));
        assert_eq!(report.ratio(System::Sidecar, Case::Handshake), None);
        assert_eq!(report.medians()[1].cpu_us_per_request, Some(27.0));
    }

    #[test]
    fn what_nginx_cannot_do_is_measured_by_what_it_can() {
        let mut report = Report::default();
        report.add(line(System::Nginx, 10.0));
        report.add(Line { case: Case::Durable, ..line(System::Sidecar, 6.0) });
        assert_eq!(report.ratio(System::Sidecar, Case::Durable), Some(0.6));
    }

    #[test]
    fn lateness_is_what_nginx_would_have_spared() {
        let mut report = Report::default();
        for (system, p99_us) in [(System::Nginx, 3000), (System::Sidecar, 4500)] {
            report.add(Line { p99_us: Some(p99_us), ..Line::memory(system, Case::Paced, 1) });
        }
        assert_eq!(report.lateness(Case::Paced), Some(1.5));
    }

    #[test]
    fn a_line_is_what_the_benchmark_promises() {
        let json = serde_json::to_string(&line(System::Sidecar, 1.5)).unwrap();
        let expected = r#"{"system":"sidecar","case":"accept","rps":null,"cpu_us_per_request":1.5,"p50_us":null,"p99_us":null,"rss_kib":1}"#;
        assert_eq!(json, expected);
    }
}
