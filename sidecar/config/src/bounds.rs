//! Bounds on what the file may say. The operator holds to them as the sidecar does: a sidecar that starts with a file that it refuses
//! receives nothing at all.

/// Longest command that Telegram knows.
pub const MAX_COMMAND_LENGTH: usize = 32;
/// Most expressions of a filter.
pub const MAX_EXPRESSIONS: usize = 16;
/// Longest expression of a filter, in bytes.
pub const MAX_EXPRESSION_LENGTH: usize = 1024;
