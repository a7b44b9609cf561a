//! Bounds on what the file may say. The operator holds to them as the sidecar does: a sidecar that starts with a file that it refuses
//! receives nothing at all.

use std::ops::RangeInclusive;

/// Bytes of a body. More would only help whoever wants our memory.
pub const BODY_BYTES: RangeInclusive<usize> = 1..=16 << 20;
/// The most that Telegram sends: what is refused it sends again for a day, in front of all that follows in that chat.
pub const TELEGRAM_BODY_BYTES: usize = 513 << 10;
/// Within which a body must be there. Telegram gives up after 60 s, in which there must be room for this, for as long as a copy of the
/// update waits for another, which is 10 s, and for the CRM.
pub const BODY_TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=15;
/// Within which the CRM must have answered.
pub const UPSTREAM_TIMEOUT_SECONDS: RangeInclusive<u64> = 1..=35;

/// Requests in a window.
pub const REQUESTS: RangeInclusive<u32> = 1..=1_000_000;
/// An hour: a limit that takes longer to recover from is a ban.
pub const WINDOW_SECONDS: RangeInclusive<u64> = 1..=3600;
/// Failures that lead to a ban.
pub const BAN_FAILURES: RangeInclusive<u32> = 1..=100_000;
/// A day.
pub const BAN_WINDOW_SECONDS: RangeInclusive<u64> = 1..=24 * 3600;
/// Thirty days; for longer there is `limits.banned`.
pub const BAN_DURATION_SECONDS: RangeInclusive<u64> = 1..=30 * 24 * 3600;

/// The largest network that one organisation has, 10.0.0.0/8. Anything larger lets strangers in.
pub const MIN_PREFIX_V4: u8 = 8;
/// The same, fc00::/7.
pub const MIN_PREFIX_V6: u8 = 7;

/// Bytes of a key: 128 bits are beyond guessing, anything shorter is a password, and more than this is a mistake.
pub const KEY_LENGTH: RangeInclusive<usize> = 16..=1024;
/// Bytes of a key of Standard Webhooks, as its specification says.
pub const STANDARD_KEY_LENGTH: RangeInclusive<usize> = 24..=64;
/// What stands in front of a key of Standard Webhooks.
pub const KEY_PREFIX: &str = "whsec_";
/// An hour: with more a recorded request could be sent again for hours.
pub const TOLERANCE_SECONDS: RangeInclusive<u64> = 1..=3600;

/// Longest command that Telegram knows.
pub const MAX_COMMAND_LENGTH: usize = 32;
/// Most expressions of a filter.
pub const MAX_EXPRESSIONS: usize = 16;
/// Longest expression of a filter, in bytes.
pub const MAX_EXPRESSION_LENGTH: usize = 1024;
