//! How long to wait before the next try: longer each time, and never the same for two who failed together.

use std::time::{Duration, SystemTime};

use http::HeaderValue;

/// Bound on the wait after the first failure; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);
/// Bound on every wait, and on what the CRM may ask for.
pub const LONGEST: Duration = Duration::from_mins(5);

/// Numbers of which each is as likely as any other. A test brings its own.
pub struct Random(Box<dyn FnMut() -> u32 + Send>);

/// When the CRM wants to be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    In(Duration),
    At(SystemTime),
}

/// The wait after so many failures in a row, the first of which is 1: anything up to a bound that doubles (full jitter).
pub fn delay(failures: u32, random: &mut Random) -> Duration {
    let bound = bound(FIRST, LONGEST, failures);
    bound.mul_f64(random.fraction())
}

/// What doubles from `first` to `most` with each failure.
pub(super) fn bound(first: Duration, most: Duration, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(most)
}

// === impl Random ===

impl Random {
    /// The system's.
    pub fn system() -> Self {
        // without a random number the wait is half of its bound, which is right for one
        Self::of(|| getrandom::u32().unwrap_or(u32::MAX / 2))
    }

    pub fn of(next: impl FnMut() -> u32 + Send + 'static) -> Self {
        Self(Box::new(next))
    }

    /// Above 0, up to 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (f64::from((self.0)()) + 1.0) / (f64::from(u32::MAX) + 1.0)
    }
}

// === impl RetryAfter ===

impl RetryAfter {
    /// None where it is neither a number of seconds nor a date of HTTP.
    pub(super) fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // more than any number is more than the longest wait
            return Some(Self::In(text.parse().map_or(LONGEST, Duration::from_secs)));
        }
        httpdate::parse_http_date(text).ok().map(Self::At)
    }

    /// How long that is from now on, and no longer than [`LONGEST`].
    pub fn wait(self, now: SystemTime) -> Duration {
        let wait = match self {
            Self::In(wait) => wait,
            Self::At(at) => at.duration_since(now).unwrap_or_default(),
        };
        wait.min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn waits(random: u32) -> Vec<f64> {
        let mut random = Random::of(move || random);
        let failures = [1, 2, 3, 9, 10, 33, u32::MAX];
        failures.map(|failures| delay(failures, &mut random).as_secs_f64()).into()
    }

    #[test]
    fn the_bound_of_the_wait_doubles_up_to_the_longest() {
        assert_eq!(waits(u32::MAX), [1.0, 2.0, 4.0, 256.0, 300.0, 300.0, 300.0]);
    }

    #[test]
    fn the_wait_is_anything_up_to_its_bound() {
        assert!(waits(0).iter().all(|wait| *wait < 1e-6));
        assert_eq!(waits(u32::MAX / 2), [0.5, 1.0, 2.0, 128.0, 150.0, 150.0, 150.0]);
    }

    #[test]
    fn the_system_gives_different_numbers() {
        let mut random = Random::system();
        let first = random.fraction();
        assert!((0..8).any(|_| (random.fraction() - first).abs() > f64::EPSILON));
    }

    #[test]
    fn the_crm_may_say_when_in_seconds_or_as_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, wait) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("300", Some(300)),
            ("301", Some(300)),
            ("99999999999999999999999", Some(300)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(300)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let parsed = RetryAfter::parse(&HeaderValue::from_static(value));
            assert_eq!(parsed.map(|after| after.wait(now).as_secs()), wait, "{value:?}");
        }
    }
}
