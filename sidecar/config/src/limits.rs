//! Bounds on requests: size, time, number.

use serde::{Deserialize, Deserializer, Serialize};

const UNAUTHENTICATED_REQUESTS: u32 = 10;
const AUTHENTICATED_REQUESTS: u32 = 1000;

/// Bounds on requests.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Largest body that is read, in bytes. Telegram never sends more than 513 KiB.
    pub max_body_bytes: usize,
    /// Seconds within which the whole body must have arrived.
    pub body_timeout_seconds: u64,
    /// Seconds within which the CRM must have answered. Telegram itself waits 60.
    pub upstream_timeout_seconds: u64,
    /// Requests of one address, or one IPv6 /64, that fail to authenticate. Of several webhooks in a pod the most generous
    /// limit holds, because it isn't known which of them a stranger means.
    #[serde(deserialize_with = "rate::<_, UNAUTHENTICATED_REQUESTS>")]
    pub unauthenticated: Rate,
    /// Requests of one address, or one IPv6 /64, that carry the right token.
    #[serde(deserialize_with = "rate::<_, AUTHENTICATED_REQUESTS>")]
    pub authenticated: Rate,
    /// When a stranger's address is banned; none bans nobody. Of several webhooks in a pod the most generous rule holds.
    pub ban: Option<Ban>,
    /// Networks that are banned for ever, in CIDR notation.
    pub banned: Vec<String>,
}

/// A number of requests in any window of that length.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// How many are let through.
    pub requests: u32,
    /// Length of the window in seconds.
    pub window_seconds: u64,
}

/// When an address is banned, and for how long.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ban {
    /// Requests that fail to authenticate within the window.
    pub failures: u32,
    /// Length of the window in seconds.
    pub window_seconds: u64,
    /// Length of the ban in seconds.
    pub duration_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            body_timeout_seconds: 10,
            upstream_timeout_seconds: 25,
            unauthenticated: Rate { requests: UNAUTHENTICATED_REQUESTS, window_seconds: second() },
            authenticated: Rate { requests: AUTHENTICATED_REQUESTS, window_seconds: second() },
            ban: Some(Ban::default()),
            banned: Vec::new(),
        }
    }
}

impl Default for Ban {
    fn default() -> Self {
        Self { failures: 20, window_seconds: 60, duration_seconds: 3600 }
    }
}

/// A rate, either field of which may be left out.
fn rate<'de, D: Deserializer<'de>, const REQUESTS: u32>(deserializer: D) -> Result<Rate, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename = "Rate", rename_all = "camelCase", deny_unknown_fields)]
    struct RateOr<const REQUESTS: u32> {
        #[serde(default = "requests::<REQUESTS>")]
        requests: u32,
        #[serde(default = "second")]
        window_seconds: u64,
    }
    let RateOr::<REQUESTS> { requests, window_seconds } = RateOr::deserialize(deserializer)?;
    Ok(Rate { requests, window_seconds })
}

fn requests<const REQUESTS: u32>() -> u32 {
    REQUESTS
}

fn second() -> u64 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_its_default_where_it_alone_is_left_out() {
        let read = |text: &str| serde_json::from_str::<Limits>(text).unwrap();
        let Limits { unauthenticated, authenticated, ban, .. } = Limits::default();
        for (text, expected) in [
            ("{}", Limits::default()),
            (
                r#"{"unauthenticated": {"requests": 3}, "authenticated": {"windowSeconds": 2}}"#,
                Limits {
                    unauthenticated: Rate { requests: 3, ..unauthenticated },
                    authenticated: Rate { window_seconds: 2, ..authenticated },
                    ..Limits::default()
                },
            ),
            (
                r#"{"unauthenticated": {}, "ban": {"failures": 5}}"#,
                Limits { ban: ban.map(|ban| Ban { failures: 5, ..ban }), ..Limits::default() },
            ),
            (r#"{"ban": {}}"#, Limits::default()),
            (r#"{"ban": null}"#, Limits { ban: None, ..Limits::default() }),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in [r#"{"authenticated": {"request": 1}}"#, r#"{"ban": {"window": 1}}"#] {
            assert!(serde_json::from_str::<Limits>(text).is_err(), "{text}");
        }
    }
}
