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

/// Bytes of a queue in files: four of its segments at least.
pub const QUEUE_BYTES: RangeInclusive<u64> = 64 << 20..=64 << 30;
/// Most methods that the CRM may call in its answers; the Bot API has about 170.
pub const MAX_REPLY_METHODS: usize = 64;
/// Longest name of such a method.
pub const MAX_REPLY_METHOD_LENGTH: usize = 64;
/// Longest token that the CRM can be given, which is Telegram's own bound.
pub const MAX_SECRET_TOKEN_LENGTH: usize = 256;

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

/// Failed attempts after which an update is set aside.
pub const MAX_ATTEMPTS: RangeInclusive<u32> = 1..=100;
/// Updates that the CRM gets at the same time: more than Telegram has lanes under way helps nobody.
pub const CONCURRENCY: RangeInclusive<usize> = 1..=256;
/// One key, and a second one while it replaces the first.
pub const MAX_SIGNING_KEYS: usize = 2;
/// Longest token that Telegram knows, and so the longest that a CRM compares with one.
pub const MAX_TOKEN_LENGTH: usize = 256;
/// A year.
pub const DEAD_LETTER_RETENTION_HOURS: RangeInclusive<u64> = 1..=8760;
/// The most with a queue in RabbitMQ, 60 days: its stream of dead letters drops what is older. How long it keeps them is said once, when
/// it is made, and each sidecar that starts reads all of it.
pub const MAX_RABBITMQ_DEAD_LETTER_RETENTION_HOURS: u64 = 60 * 24;

/// Updates of a bot that wait in a broker: a million are some gigabytes of its memory.
pub const QUEUED_UPDATES: RangeInclusive<u64> = 1..=1_000_000;
/// Bytes of what the names of a broker's keys begin with: each name is sent with each update.
pub const MAX_KEY_PREFIX_LENGTH: usize = 64;
/// Databases of a Redis, more than any is set up with.
pub const MAX_DATABASE: u32 = 1023;
/// Bytes of what the names of a broker's queues begin with: a name has at most 255.
pub const MAX_NAME_PREFIX_LENGTH: usize = 128;
/// Queues of a bot: each costs the broker's nodes a replicated log.
pub const PARTITIONS: RangeInclusive<u32> = 1..=128;
