//! The filters alone, for whoever tries them where the certificates can't be read.

use super::{Problem, Snapshot, problem::Findings, snapshot::Part};
use crate::ingress::filter::Filter;

impl Snapshot {
    /// Every filter that can be used by the name of its webhook, and what is wrong with the others.
    pub fn into_filters(self) -> (Vec<(String, Filter)>, Vec<Problem>) {
        let mut filters = Vec::new();
        let mut problems = Vec::new();
        match self.parts {
            Err(problem) => problems.push(problem),
            Ok(parts) => {
                for part in parts {
                    match filter(part) {
                        Ok(filter) => filters.push(filter),
                        Err(found) => problems.extend(found),
                    }
                }
            }
        }
        problems.extend(self.absent.into_iter().map(|folder| Problem::NoConfig { folder }));
        (filters, problems)
    }
}

fn filter(part: Part) -> Result<(String, Filter), Vec<Problem>> {
    let config = part.parsed.map_err(|problem| vec![problem])?;
    let mut findings = Findings::new(&part.place);
    let filter = Filter::parse(&config.filter, &mut findings);
    let problems = findings.into_problems();
    if problems.is_empty() { Ok((config.webhook, filter)) } else { Err(problems) }
}
