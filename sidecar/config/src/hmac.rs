//! The signature of a relay that stands between Telegram and us: Telegram itself doesn't sign.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the relay signs; HMAC-SHA256 in either case.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(tag = "scheme", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Hmac {
    /// Over the raw body, in a header of the relay's choice; `sha256=` may stand in front.
    Body {
        /// Name of the header.
        header: String,
        /// How the header writes the signature.
        encoding: HmacEncoding,
        /// The key, as its bytes are.
        secret: String,
    },
    /// As <https://www.standardwebhooks.com> says: over id, timestamp and body, in `webhook-signature`.
    StandardWebhooks {
        /// `whsec_` and the key in base64.
        secret: String,
        /// Seconds that the timestamp may be off.
        #[serde(default = "tolerance")]
        tolerance_seconds: u64,
    },
}

/// How a header writes a signature.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum HmacEncoding {
    /// Hexadecimal digits of either case.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// Headers that can't hold a signature, because they say how the request is to be read or where it comes from: hops change them, or
/// we read something else in them. In lower case.
const RESERVED_HEADERS: [&str; 17] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-telegram-bot-api-secret-token",
];

/// Whether a header, in whatever case, has a meaning that leaves no room for a signature.
pub fn is_reserved_header(name: &str) -> bool {
    RESERVED_HEADERS.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// What the specification recommends.
fn tolerance() -> u64 {
    300
}

// the secret stays out
impl fmt::Debug for Hmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { header, encoding, .. } => f
                .debug_struct("Body")
                .field("header", header)
                .field("encoding", encoding)
                .finish_non_exhaustive(),
            Self::StandardWebhooks { tolerance_seconds, .. } => f
                .debug_struct("StandardWebhooks")
                .field("tolerance_seconds", tolerance_seconds)
                .finish_non_exhaustive(),
        }
    }
}
