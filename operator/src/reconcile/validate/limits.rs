//! Checks the bounds on requests.

use std::ops::RangeInclusive;

use telegram_webhook_crds::{BanSpec, LimitsSpec, Period, RateSpec};
use telegram_webhook_sidecar_config::{
    Ban, Limits, Rate,
    bounds::{
        BAN_DURATION_SECONDS, BAN_FAILURES, BAN_WINDOW_SECONDS, BODY_BYTES, REQUESTS, TELEGRAM_BODY_BYTES,
        WINDOW_SECONDS,
    },
};

use super::mistake::Mistakes;
use crate::reconcile::status::Reason;

/// Checks `spec.limits`; `banned` has been checked already.
pub fn limits(spec: &LimitsSpec, banned: Vec<String>, mistakes: &mut Mistakes) -> Limits {
    let LimitsSpec { max_body_bytes, unauthenticated, authenticated, ban, banned: _ } = spec;
    let max_body_bytes = usize::try_from(*max_body_bytes).unwrap_or(usize::MAX);
    let largest = *BODY_BYTES.end();
    if !(TELEGRAM_BODY_BYTES..=largest).contains(&max_body_bytes) {
        let message = format!(
            "spec.limits.maxBodyBytes: must be from {TELEGRAM_BODY_BYTES}, the most that Telegram sends, to {largest} bytes"
        );
        mistakes.push(Reason::LimitsInvalid, message);
    }
    let defaults = Limits::default();
    Limits {
        max_body_bytes,
        unauthenticated: rate("spec.limits.unauthenticated", unauthenticated, mistakes),
        authenticated: rate("spec.limits.authenticated", authenticated, mistakes),
        ban: self::ban(ban, mistakes),
        banned,
        ..defaults
    }
}

fn rate(field: &str, spec: &RateSpec, mistakes: &mut Mistakes) -> Rate {
    let RateSpec { requests, window } = spec;
    if !REQUESTS.contains(requests) {
        let message = format!("{field}.requests: must be from {} to {}", REQUESTS.start(), REQUESTS.end());
        mistakes.push(Reason::LimitsInvalid, message);
    }
    let window_seconds =
        period((&format!("{field}.window"), Reason::LimitsInvalid), window, WINDOW_SECONDS, mistakes);
    Rate { requests: *requests, window_seconds }
}

fn ban(spec: &BanSpec, mistakes: &mut Mistakes) -> Option<Ban> {
    let BanSpec { failures, window, duration } = spec;
    let max_failures = *BAN_FAILURES.end();
    if *failures > max_failures {
        let message =
            format!("spec.limits.ban.failures: must be at most {max_failures}; 0 switches bans off");
        mistakes.push(Reason::LimitsInvalid, message);
    }
    let mut seconds =
        |field, period_, bounds| period((field, Reason::LimitsInvalid), period_, bounds, mistakes);
    let ban = Ban {
        failures: *failures,
        window_seconds: seconds("spec.limits.ban.window", window, BAN_WINDOW_SECONDS),
        duration_seconds: seconds("spec.limits.ban.duration", duration, BAN_DURATION_SECONDS),
    };
    (ban.failures > 0).then_some(ban)
}

/// Reads a length of time within these bounds, in seconds; 0 together with a mistake.
pub fn period(
    (field, reason): (&str, Reason),
    spec: &Period,
    bounds: RangeInclusive<u64>,
    mistakes: &mut Mistakes,
) -> u64 {
    let max = *bounds.end();
    match spec.seconds() {
        Some(seconds) if bounds.contains(&seconds) => seconds,
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
