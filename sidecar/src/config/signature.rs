//! How a relay signs, checked: the name of its header and its key.

use std::{fmt, ops::RangeInclusive, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderName;
use sha2::Sha256;
use telegram_webhook_sidecar_config::{
    self as raw, HmacEncoding,
    bounds::{KEY_LENGTH, KEY_PREFIX, STANDARD_KEY_LENGTH, TOLERANCE_SECONDS},
};

use super::problem::Findings;

/// Bytes of an HMAC-SHA256.
pub const MAC_LENGTH: usize = 32;
/// The HMAC-SHA256 of something.
pub type Mac = [u8; MAC_LENGTH];

/// How a relay signs.
#[derive(Debug)]
pub enum Signature {
    /// Over the body, in a header of its choice.
    Body { header: HeaderName, encoding: HmacEncoding, key: SigningKey },
    /// Over id, timestamp and body, as Standard Webhooks says.
    StandardWebhooks { key: SigningKey, tolerance: Duration },
}

/// The state of an HMAC that has taken in its key; the key itself can't be read from it.
pub struct SigningKey(Hmac<Sha256>);

/// What is wrong with one field. Never holds a value.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    pub field: &'static str,
    pub reason: String,
}

// === impl Signature ===

impl Signature {
    /// Checks how a relay signs and reports all that is wrong with it.
    pub fn new(hmac: &raw::Hmac) -> Result<Self, Vec<Mistake>> {
        match hmac {
            raw::Hmac::Body { header, encoding, secret } => {
                let (header, key) = both(header_name(header), body_key(secret))?;
                Ok(Self::Body { header, encoding: *encoding, key })
            }
            raw::Hmac::StandardWebhooks { secret, tolerance_seconds } => {
                let (key, tolerance) = both(standard_key(secret), tolerance(*tolerance_seconds))?;
                Ok(Self::StandardWebhooks { key, tolerance })
            }
        }
    }
}

/// The signature that a configuration asks for, if any.
pub(super) fn parse(hmac: Option<&raw::Hmac>, findings: &mut Findings<'_>) -> Option<Signature> {
    let mistakes = match Signature::new(hmac?) {
        Ok(signature) => return Some(signature),
        Err(mistakes) => mistakes,
    };
    for Mistake { field, reason } in mistakes {
        findings.field(field, reason);
    }
    None
}

// === impl SigningKey ===

impl SigningKey {
    fn new(key: &[u8], length: &RangeInclusive<usize>) -> Result<Self, Mistake> {
        let hmac = Hmac::new_from_slice(key).ok().filter(|_| length.contains(&key.len()));
        hmac.map(Self).ok_or_else(|| {
            Mistake::new("hmac.secret", format!("must be {} to {} bytes", length.start(), length.end()))
        })
    }

    /// Signs the parts as one.
    pub fn sign(&self, parts: &[&[u8]]) -> Mac {
        let mut hmac = self.0.clone();
        for part in parts {
            hmac.update(part);
        }
        hmac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

// === impl Mistake ===

impl Mistake {
    fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

fn both<A, B>(a: Result<A, Mistake>, b: Result<B, Mistake>) -> Result<(A, B), Vec<Mistake>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err([a.err(), b.err()].into_iter().flatten().collect()),
    }
}

fn header_name(name: &str) -> Result<HeaderName, Mistake> {
    let header = name.parse::<HeaderName>();
    let header = header.map_err(|_| Mistake::new("hmac.header", "must be the name of an HTTP header"))?;
    if raw::is_reserved_header(header.as_str()) {
        return Err(Mistake::new("hmac.header", "has a meaning of its own: let the relay use another one"));
    }
    Ok(header)
}

fn body_key(secret: &str) -> Result<SigningKey, Mistake> {
    if secret.ends_with(['\r', '\n']) {
        let reason = "ends with a newline: was it read from a file?";
        return Err(Mistake::new("hmac.secret", reason));
    }
    SigningKey::new(secret.as_bytes(), &KEY_LENGTH)
}

pub(super) fn standard_key(secret: &str) -> Result<SigningKey, Mistake> {
    let key = STANDARD.decode(secret.strip_prefix(KEY_PREFIX).unwrap_or(secret));
    let key = key.map_err(|_| Mistake::new("hmac.secret", format!("must be {KEY_PREFIX} and base64")))?;
    SigningKey::new(&key, &STANDARD_KEY_LENGTH)
}

fn tolerance(seconds: u64) -> Result<Duration, Mistake> {
    if TOLERANCE_SECONDS.contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Mistake::new(
        "hmac.toleranceSeconds",
        format!("must be {} to {}", TOLERANCE_SECONDS.start(), TOLERANCE_SECONDS.end()),
    ))
}

#[cfg(test)]
mod tests;
