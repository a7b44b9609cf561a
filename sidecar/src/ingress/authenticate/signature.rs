//! The signature of a relay that stands between Telegram and us.
//!
//! A signature is decoded first, which takes as long as whoever sent it made it, and then compared in constant time with the one
//! that the body should have; of several, each one is. That a signature is right but old is said only of one that is right.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use subtle::{Choice, ConstantTimeEq as _};

use super::{NotOnce, once};
use crate::{
    config::{HmacEncoding, MAC_LENGTH, Mac, Signature},
    ingress::Reject,
};

const ID_HEADER: &str = "webhook-id";
const TIMESTAMP_HEADER: &str = "webhook-timestamp";
const SIGNATURE_HEADER: &str = "webhook-signature";
/// The version that is an HMAC; others are for other kinds of keys.
const VERSION: &str = "v1,";
/// What may stand in front of a signature over the body alone.
const PREFIX: &str = "sha256=";
const MAX_ID_LENGTH: usize = 256;
/// Room for the signatures of some twenty keys.
const MAX_SIGNATURES_LENGTH: usize = 1024;
/// Seconds until the year 33658.
const MAX_TIMESTAMP_LENGTH: usize = 12;
/// Of a signature in base64, with its padding.
const BASE64_LENGTH: usize = 44;

/// Refuses a request that the relay hasn't signed, or not lately.
pub fn verify(
    signature: &Signature,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<(), Reject> {
    match signature {
        Signature::Body { header, encoding, key } => {
            let text = text(headers, header.as_str(), MAX_SIGNATURES_LENGTH)?;
            let given = decode(*encoding, text.strip_prefix(PREFIX).unwrap_or(text));
            accept(matches(given, &key.sign(&[body])))
        }
        Signature::StandardWebhooks { key, tolerance } => {
            let id = text(headers, ID_HEADER, MAX_ID_LENGTH)?;
            let timestamp = text(headers, TIMESTAMP_HEADER, MAX_TIMESTAMP_LENGTH)?;
            let given = text(headers, SIGNATURE_HEADER, MAX_SIGNATURES_LENGTH)?;
            let sent = sent_at(timestamp)?;
            if id.is_empty() || id.contains('.') {
                // where the id ends and the timestamp begins has to be beyond doubt
                return Err(Reject::SignatureWrong);
            }
            let expected = key.sign(&[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
            let mut accepted = Choice::from(0);
            for given in given.split(' ').filter_map(|given| given.strip_prefix(VERSION)) {
                accepted |= matches(decode(HmacEncoding::Base64, given), &expected);
            }
            accept(accepted)?;
            if is_within(sent, now, *tolerance) { Ok(()) } else { Err(Reject::SignatureStale) }
        }
    }
}

/// The text of a header that is there once and isn't too long.
fn text<'a>(headers: &'a HeaderMap, name: &str, max: usize) -> Result<&'a str, Reject> {
    let value = once(headers, name).map_err(|not_once| match not_once {
        NotOnce::Missing => Reject::SignatureMissing,
        NotOnce::Repeated => Reject::SignatureRepeated,
    })?;
    let text = value.to_str().ok().filter(|text| text.len() <= max);
    text.ok_or(Reject::SignatureWrong)
}

/// Reads digits, and nothing but digits: `parse` would take a sign too.
fn sent_at(timestamp: &str) -> Result<SystemTime, Reject> {
    let digits = Some(timestamp).filter(|timestamp| timestamp.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = digits.and_then(|digits| digits.parse().ok()).map(Duration::from_secs);
    let sent = seconds.and_then(|seconds| UNIX_EPOCH.checked_add(seconds));
    sent.ok_or(Reject::SignatureWrong)
}

/// Whether two moments are near each other, whichever comes first.
fn is_within(sent: SystemTime, now: SystemTime, tolerance: Duration) -> bool {
    let apart = now.duration_since(sent).unwrap_or_else(|error| error.duration());
    // the timestamp has no fractions
    apart.as_secs() <= tolerance.as_secs()
}

fn decode(encoding: HmacEncoding, text: &str) -> Option<Mac> {
    let mut mac = [0; MAC_LENGTH];
    match encoding {
        HmacEncoding::Hex => hex::decode_to_slice(text, &mut mac).ok()?,
        HmacEncoding::Base64 => {
            // the decoder asks for room for what the padding may stand for
            let mut room = [0; MAC_LENGTH + 1];
            let text = Some(text).filter(|text| text.len() == BASE64_LENGTH)?;
            let length = STANDARD.decode_slice(text, &mut room).ok()?;
            mac = room.get(..length)?.try_into().ok()?;
        }
    }
    Some(mac)
}

fn matches(given: Option<Mac>, expected: &Mac) -> Choice {
    given.map_or_else(|| Choice::from(0), |given| given.ct_eq(expected))
}

fn accept(accepted: Choice) -> Result<(), Reject> {
    if accepted.into() { Ok(()) } else { Err(Reject::SignatureWrong) }
}

#[cfg(test)]
mod tests;
