//! What the systems are asked for.

use clap::ValueEnum;
use serde::Serialize;

use crate::bench::server::System;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Case {
    /// Started, and nobody has come yet: memory only.
    Idle,
    /// To the CRM, whose answer is waited for.
    Accept,
    /// Stored for sure, and answered. Nobody takes what is stored: the CRM is down.
    Durable,
    /// Stored for sure, answered, and delivered to the CRM: measured until nothing waits.
    Deliver,
    /// 5,000 updates per second and no more, as the systems are used: the sidecar stores and delivers.
    Paced,
    ForgedToken,
    WrongPath,
    BannedConnection,
    Handshake,
    /// The most memory that was held while all that comes was stored and delivered.
    FullLoad,
    /// 100,000 strangers: `rss_kib` is what memory has grown by.
    LimitedAddresses,
}

// === impl Case ===

impl Case {
    /// Those of every round.
    pub const ROUND: [Self; 8] = [
        Self::Accept,
        Self::Durable,
        Self::Deliver,
        Self::Paced,
        Self::ForgedToken,
        Self::WrongPath,
        Self::BannedConnection,
        Self::Handshake,
    ];

    /// Who is asked: the others store nothing.
    pub fn systems(self) -> &'static [System] {
        match self {
            Self::Durable | Self::Deliver => &[System::Sidecar],
            Self::Paced => &[System::Nginx, System::Sidecar],
            _ => &System::ALL,
        }
    }

    /// What nginx does that comes nearest.
    pub fn yardstick(self) -> Self {
        match self {
            Self::Durable | Self::Deliver => Self::Accept,
            other => other,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Accept => "accept",
            Self::Durable => "durable",
            Self::Deliver => "deliver",
            Self::Paced => "paced",
            Self::ForgedToken => "forged_token",
            Self::WrongPath => "wrong_path",
            Self::BannedConnection => "banned_connection",
            Self::Handshake => "handshake",
            Self::FullLoad => "full_load",
            Self::LimitedAddresses => "limited_addresses",
        }
    }
}
