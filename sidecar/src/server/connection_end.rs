//! Every way in which a connection ends, and its name.

/// How a connection ended, or why it never began.
#[derive(Clone, Copy, Debug)]
pub enum ConnectionEnd {
    Closed,
    Failed,
    HandshakeFailed,
    HandshakeTimeout,
    Evicted,
    OverLimit,
    Banned,
    Unlisted,
    UntrustedProxy,
    BadProxyHeader,
    HandshakeRate,
    HeadTimeout,
    IdleTimeout,
}

// === impl ConnectionEnd ===

impl ConnectionEnd {
    /// Name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Failed => "failed",
            Self::HandshakeFailed => "handshake_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Evicted => "evicted",
            Self::OverLimit => "over_limit",
            Self::Banned => "banned",
            Self::Unlisted => "unlisted",
            Self::UntrustedProxy => "untrusted_proxy",
            Self::BadProxyHeader => "bad_proxy_header",
            Self::HandshakeRate => "handshake_rate",
            Self::HeadTimeout => "head_timeout",
            Self::IdleTimeout => "idle_timeout",
        }
    }

    /// Whether we ended it, by a rule.
    pub fn is_refusal(self) -> bool {
        !matches!(self, Self::Closed | Self::Failed | Self::IdleTimeout)
    }
}
