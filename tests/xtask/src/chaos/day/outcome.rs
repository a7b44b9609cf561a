//! What a day came to, and whether that is as promised.

use std::fmt;

use anyhow::ensure;

use crate::chaos::ledger::Verdict;

/// Memory that the sidecar may take at any time, in KiB.
const MAX_KIB: u64 = 64 << 10;

/// What a day came to.
pub struct Outcome {
    pub verdict: Verdict,
    pub buttons: u64,
    pub expired: u64,
    /// How far off that may be.
    pub expired_unsure: u64,
    pub most_pending: u64,
    pub refusals: u64,
    pub peak_kib: u64,
}

// === impl Outcome ===

impl Outcome {
    /// Fails unless all is as promised, of so many updates in all.
    pub fn judge(&self, updates: u64) -> anyhow::Result<()> {
        let Self { verdict, buttons, expired, expired_unsure, peak_kib, .. } = *self;
        ensure!(verdict.is_clean(), "what was promised didn't hold");
        ensure!(
            u64::try_from(verdict.acked)? + buttons == updates,
            "not all of {updates} updates were acknowledged"
        );
        ensure!(verdict.delivered == verdict.acked, "buttons pressed long ago were delivered");
        ensure!(
            expired.abs_diff(buttons) <= expired_unsure,
            "{buttons} buttons were pressed, and {expired} expired"
        );
        ensure!(peak_kib < MAX_KIB, "the sidecar took {peak_kib} KiB: more than {MAX_KIB}");
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, buttons, expired, most_pending, refusals, peak_kib, .. } = self;
        write!(
            f,
            "day: {verdict} buttons={buttons} expired={expired} most_pending={most_pending} refused={refusals} peak={}",
            mib(*peak_kib)
        )
    }
}

/// For people.
pub fn mib(kib: u64) -> String {
    format!("{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_promised_is_looked_at() {
        let verdict = Verdict { acked: 95, delivered: 95, ..Verdict::default() };
        let outcome = || Outcome {
            verdict,
            buttons: 5,
            expired: 5,
            expired_unsure: 0,
            most_pending: 1,
            refusals: 0,
            peak_kib: MAX_KIB - 1,
        };
        assert!(outcome().judge(100).is_ok());
        assert!(outcome().judge(101).is_err());
        for wrong in [
            Outcome { verdict: Verdict { lost: 1, ..verdict }, ..outcome() },
            Outcome { verdict: Verdict { delivered: 96, ..verdict }, ..outcome() },
            Outcome { expired: 4, ..outcome() },
            Outcome { peak_kib: MAX_KIB, ..outcome() },
        ] {
            assert!(wrong.judge(100).is_err(), "{wrong}");
        }
    }
}
