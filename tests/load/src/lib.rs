//! What `cargo xtask bench` and the load tell each other: the attacks to choose from, and what became of a load, one line of JSON. And
//! how to send an update, which `cargo xtask chaos` does too.

pub mod client;
pub mod update;

use std::{collections::BTreeMap, fmt};

use clap::{ValueEnum, builder::PossibleValue};
use serde::{Deserialize, Serialize};

/// What an attacker does on each of its connections.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Heads that never end, a line per second
    SlowHeads,
    /// Bodies with a wrong token that never end, a byte per second
    SlowBodies,
    /// TCP connections that say nothing
    IdleTcp,
    /// TLS connections that say nothing
    IdleTls,
    /// Half a ClientHello
    HalfOpenTls,
    /// Random bytes in place of TLS
    Garbage,
    /// The preface of HTTP/2 in TLS
    Http2Preface,
    /// Two lengths, and a second request hidden in the body
    SmuggledLength,
    /// Chunks of a length that parsers disagree about
    SmuggledChunk,
    /// 10,000 headers
    ManyHeaders,
    /// A body of 1 GiB, announced
    HugeBody,
    /// A body without end, in chunks
    HugeChunks,
}

/// What became of genuine updates.
#[derive(Serialize, Deserialize, Debug)]
pub struct Genuine {
    pub sent: u64,
    /// Not answered with 200 at the first attempt.
    pub refused: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// How the server took an attack.
#[derive(Serialize, Deserialize, Debug)]
pub struct Attackers {
    /// Connections.
    pub opened: u64,
    /// Ended by the server.
    pub closed: u64,
    /// How many answers had which status.
    pub statuses: BTreeMap<String, u64>,
}

/// What became of connections with one request each.
#[derive(Serialize, Deserialize, Debug)]
pub struct Connections {
    pub requests: u64,
    pub duration_us: u64,
    /// How many ended how: a status, or `closed`, or `hanging`.
    pub ends: BTreeMap<String, u64>,
    pub p50_us: u64,
    pub p99_us: u64,
}

/// What strangers without number were answered.
#[derive(Serialize, Deserialize, Debug)]
pub struct Spray {
    pub requests: u64,
    /// How many answers had which status.
    pub statuses: BTreeMap<u16, u64>,
}

// === impl Attack ===

impl fmt::Display for Attack {
    /// As on the command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", PossibleValue::get_name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_called_what_the_command_line_takes() {
        for attack in Attack::value_variants() {
            assert_eq!(Attack::from_str(&attack.to_string(), false), Ok(*attack));
        }
        assert_eq!(format!("{:<15}|", Attack::Http2Preface), "http2-preface  |");
    }
}
