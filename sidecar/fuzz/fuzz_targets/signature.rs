//! The signature of a relay: accepted exactly where a plain reading of the rules accepts it.
//!
//! An input is five lines: scheme (`hex`, `base64`, anything else for Standard Webhooks), the header of the signature, id,
//! timestamp, and all the rest as body. In the header `$` stands for the right signature, which nobody would hit by chance.
#![no_main]

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac as HmacOf, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use telegram_webhook_sidecar::{config::Signature, ingress::verify_signature};
use telegram_webhook_sidecar_config::{Hmac, HmacEncoding};

const KEY: &[u8] = b"a key of more than sixteen bytes";
const HEADER: &str = "x-relay-signature";
const NOW: u64 = 1_700_000_000;
const TOLERANCE: u64 = 300;

/// How hex, base64 and Standard Webhooks are configured.
static SIGNATURES: LazyLock<[Signature; 3]> = LazyLock::new(|| {
    let body = |encoding| Hmac::Body {
        header: HEADER.to_owned(),
        encoding,
        secret: String::from_utf8_lossy(KEY).into_owned(),
    };
    let standard = Hmac::StandardWebhooks {
        secret: format!("whsec_{}", STANDARD.encode(KEY)),
        tolerance_seconds: TOLERANCE,
    };
    [body(HmacEncoding::Hex), body(HmacEncoding::Base64), standard]
        .map(|hmac| Signature::new(&hmac).expect("a good configuration"))
});

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(5, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (scheme, header, id, timestamp, body) = (line(), line(), line(), line(), line());
    let [hex, base64, standard] = &*SIGNATURES;
    let (signature, name, right) = match scheme {
        b"hex" => (hex, HEADER, hex::encode(mac(&[body]))),
        b"base64" => (base64, HEADER, STANDARD.encode(mac(&[body]))),
        _ => (standard, "webhook-signature", STANDARD.encode(mac(&[id, b".", timestamp, b".", body]))),
    };
    let header: Vec<u8> = header
        .iter()
        .flat_map(|byte| if *byte == b'$' { right.as_bytes() } else { std::slice::from_ref(byte) })
        .copied()
        .collect();
    let mut headers = HeaderMap::new();
    for (name, value) in [(name, &*header), ("webhook-id", id), ("webhook-timestamp", timestamp)] {
        // hyper refuses what is no value before we see it
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        headers.insert(HeaderName::from_static(name), value);
    }
    let accepted = verify_signature(signature, &headers, body, now()).is_ok();
    let expected = match scheme {
        b"hex" => unprefixed(&header).eq_ignore_ascii_case(right.as_bytes()),
        b"base64" => unprefixed(&header) == right.as_bytes(),
        _ => standard_accepts(&header, id, timestamp, &right),
    };
    assert_eq!(accepted, expected);
    // a second header leaves open which one counts
    headers.append(HeaderName::from_static(name), HeaderValue::from_static("x"));
    assert!(verify_signature(signature, &headers, body, now()).is_err());
});

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn mac(parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = HmacOf::<Sha256>::new_from_slice(KEY).expect("a key of any length");
    mac.update(&parts.concat());
    mac.finalize().into_bytes().into()
}

fn unprefixed(header: &[u8]) -> &[u8] {
    header.strip_prefix(b"sha256=").unwrap_or(header)
}

fn standard_accepts(header: &[u8], id: &[u8], timestamp: &[u8], right: &str) -> bool {
    let is_text = |value: &[u8]| value.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == b'\t');
    let right = format!("v1,{right}");
    let seconds = std::str::from_utf8(timestamp).ok().and_then(|text| text.parse::<u64>().ok());
    let is_timely = seconds.is_some_and(|seconds| seconds.abs_diff(NOW) <= TOLERANCE);
    is_text(header)
        && is_text(id)
        && !id.is_empty()
        && !id.contains(&b'.')
        && id.len() <= 256
        && header.len() <= 1024
        && timestamp.iter().all(u8::is_ascii_digit)
        && timestamp.len() <= 12
        && is_timely
        && header.split(|byte| *byte == b' ').any(|given| given == right.as_bytes())
}
