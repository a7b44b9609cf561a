//! Budgets: what was promised, what was measured, and whether the one holds the other.

use anyhow::ensure;

/// One promise.
pub struct Budget {
    pub what: String,
    /// None when it could not be measured, which breaks it.
    pub measured: Option<f64>,
    pub limit: f64,
    pub unit: &'static str,
}

// === impl Budget ===

impl Budget {
    pub fn holds(&self) -> bool {
        self.measured.is_some_and(|measured| measured <= self.limit)
    }
}

/// A count as a measured value. None is near 2^32; one that were would break its budget.
pub fn count(value: u64) -> f64 {
    u32::try_from(value).map_or(f64::INFINITY, f64::from)
}

/// Prints them on standard error, where they are in nobody's way; fails when one is broken.
pub fn judge(budgets: &[Budget]) -> anyhow::Result<()> {
    for budget in budgets {
        let Budget { what, measured, limit, unit } = budget;
        let verdict = if budget.holds() { "holds " } else { "BROKEN" };
        let measured =
            measured.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2} {unit}"));
        eprintln!("  {verdict}  {what}: {measured}, at most {limit} {unit}");
    }
    let broken = budgets.iter().filter(|budget| !budget.holds()).count();
    ensure!(broken == 0, "{broken} of {} budgets are broken", budgets.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(measured: Option<f64>) -> Budget {
        Budget { what: String::new(), measured, limit: 1.0, unit: "" }
    }

    #[test]
    fn one_broken_budget_is_enough_to_fail() {
        assert!(judge(&[budget(Some(0.5)), budget(Some(1.0))]).is_ok());
        assert!(judge(&[budget(Some(0.5)), budget(Some(1.01))]).is_err());
        assert!(judge(&[budget(None)]).is_err(), "not measured");
        assert!(judge(&[budget(Some(f64::NAN))]).is_err(), "measured nothing");
    }
}
