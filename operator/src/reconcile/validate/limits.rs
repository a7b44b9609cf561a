//! Checks the bounds on requests.

use telegram_webhook_crds::{BanSpec, LimitsSpec, Period, RateSpec};
use telegram_webhook_sidecar_config::{Ban, Limits, Rate};

use super::mistake::Mistakes;
use crate::reconcile::status::Reason;

const BODY_BYTES: std::ops::RangeInclusive<u32> = 1 << 10..=16 << 20;
const MAX_REQUESTS: u32 = 1_000_000;
const MAX_FAILURES: u32 = 100_000;
const MAX_WINDOW: u64 = 3600;
const MAX_BAN_WINDOW: u64 = 24 * 3600;
const MAX_BAN: u64 = 720 * 3600;

/// Checks `spec.limits`; `banned` has been checked already.
pub fn limits(spec: &LimitsSpec, banned: Vec<String>, mistakes: &mut Mistakes) -> Limits {
    let LimitsSpec { max_body_bytes, unauthenticated, authenticated, ban, banned: _ } = spec;
    if !BODY_BYTES.contains(max_body_bytes) {
        let message = "spec.limits.maxBodyBytes: must be from 1024 to 16777216 bytes";
        mistakes.push(Reason::LimitsInvalid, message);
    }
    let defaults = Limits::default();
    Limits {
        max_body_bytes: usize::try_from(*max_body_bytes).unwrap_or(defaults.max_body_bytes),
        unauthenticated: rate("spec.limits.unauthenticated", unauthenticated, mistakes),
        authenticated: rate("spec.limits.authenticated", authenticated, mistakes),
        ban: self::ban(ban, mistakes),
        banned,
        ..defaults
    }
}

fn rate(field: &str, spec: &RateSpec, mistakes: &mut Mistakes) -> Rate {
    let RateSpec { requests, window } = spec;
    if !(1..=MAX_REQUESTS).contains(requests) {
        let message = format!("{field}.requests: must be from 1 to {MAX_REQUESTS}");
        mistakes.push(Reason::LimitsInvalid, message);
    }
    let window_seconds =
        period((&format!("{field}.window"), Reason::LimitsInvalid), window, MAX_WINDOW, mistakes);
    Rate { requests: *requests, window_seconds }
}

fn ban(spec: &BanSpec, mistakes: &mut Mistakes) -> Option<Ban> {
    let BanSpec { failures, window, duration } = spec;
    if *failures > MAX_FAILURES {
        let message =
            format!("spec.limits.ban.failures: must be at most {MAX_FAILURES}; 0 switches bans off");
        mistakes.push(Reason::LimitsInvalid, message);
    }
    let mut seconds = |field, period_, max| period((field, Reason::LimitsInvalid), period_, max, mistakes);
    let ban = Ban {
        failures: *failures,
        window_seconds: seconds("spec.limits.ban.window", window, MAX_BAN_WINDOW),
        duration_seconds: seconds("spec.limits.ban.duration", duration, MAX_BAN),
    };
    (ban.failures > 0).then_some(ban)
}

/// Reads a length of time of at most `max` seconds; 0 together with a mistake.
pub fn period((field, reason): (&str, Reason), spec: &Period, max: u64, mistakes: &mut Mistakes) -> u64 {
    match spec.seconds() {
        Some(seconds) if seconds <= max => seconds,
        Some(_) => {
            let longest =
                if max.is_multiple_of(3600) { format!("{}h", max / 3600) } else { format!("{max}s") };
            mistakes.push(reason, format!("{field}: {} is too long; use at most {longest}", spec.0));
            0
        }
        None => {
            mistakes.push(
                reason,
                format!("{field}: {} is no length of time; use a number and s, m or h, such as 90s", spec.0),
            );
            0
        }
    }
}
