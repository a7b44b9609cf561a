use telegram_webhook_sidecar_config::Hmac;

use super::*;

const SECRET: &str = "a secret of a relay";
const BODY: &[u8] = b"{\"update_id\":1}";
// printf '{"update_id":1}' | openssl dgst -sha256 -hmac 'a secret of a relay'
const HEX: &str = "9c062089a01ac787b640b1c84ab7d4b392692fdc066289c6323e4cc554d660bc";
const BASE64: &str = "nAYgiaAax4e2QLHISrfUs5JpL9wGYonGMj5MxVTWYLw=";

/// The example of the Standard Webhooks specification.
mod example {
    pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    pub const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    pub const TIMESTAMP: &str = "1614265330";
    pub const BODY: &[u8] = b"{\"test\": 2432232314}";
    pub const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
}

fn headers(headers: &[(&'static str, &str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn appended(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn label(result: &Result<(), Reject>) -> &'static str {
    result.as_ref().map_or_else(|reject| reject.meaning().label, |()| "accepted")
}

/// What becomes of a body that is signed by itself.
fn of_body(encoding: HmacEncoding, headers: &HeaderMap, body: &[u8]) -> &'static str {
    let hmac = Hmac::Body { header: "X-Signature".to_owned(), encoding, secret: SECRET.to_owned() };
    label(&verify(&Signature::new(&hmac).unwrap(), headers, body, UNIX_EPOCH))
}

/// What becomes of the example, changed, so many seconds after it was sent.
fn of_example(id: &str, timestamp: &str, signature: &str, after: i64) -> &'static str {
    let headers = headers(&[(ID_HEADER, id), (TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, signature)]);
    of_headers(&headers, after)
}

fn of_headers(headers: &HeaderMap, after: i64) -> &'static str {
    let hmac = Hmac::StandardWebhooks { secret: example::SECRET.to_owned(), tolerance_seconds: 300 };
    let sent: i64 = example::TIMESTAMP.parse().unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(sent + after).unwrap());
    label(&verify(&Signature::new(&hmac).unwrap(), headers, example::BODY, now))
}

#[test]
fn a_signed_body_is_accepted_however_it_is_written() {
    for (encoding, signature) in [
        (HmacEncoding::Hex, HEX.to_owned()),
        (HmacEncoding::Hex, HEX.to_uppercase()),
        (HmacEncoding::Hex, format!("sha256={HEX}")),
        (HmacEncoding::Base64, BASE64.to_owned()),
        (HmacEncoding::Base64, format!("sha256={BASE64}")),
    ] {
        let headers = headers(&[("x-signature", &signature)]);
        assert_eq!(of_body(encoding, &headers, BODY), "accepted", "{signature}");
        assert_eq!(of_body(encoding, &headers, b"{\"update_id\":2}"), "signature_wrong", "{signature}");
    }
}

#[test]
fn what_is_no_signature_of_the_body_is_wrong() {
    let flipped = HEX.replace('0', "1");
    for (encoding, signature) in [
        (HmacEncoding::Hex, ""),
        (HmacEncoding::Hex, "sha256="),
        (HmacEncoding::Hex, &flipped),
        (HmacEncoding::Hex, HEX.strip_prefix('9').unwrap()),
        (HmacEncoding::Hex, &format!("{HEX}00")),
        (HmacEncoding::Hex, BASE64),
        (HmacEncoding::Hex, &format!("sha256=sha256={HEX}")),
        (HmacEncoding::Base64, HEX),
        (HmacEncoding::Base64, BASE64.trim_end_matches('=')),
        (HmacEncoding::Base64, &BASE64.replace('=', "A")),
        (HmacEncoding::Base64, &"A".repeat(5000)),
    ] {
        let headers = headers(&[("x-signature", signature)]);
        assert_eq!(of_body(encoding, &headers, BODY), "signature_wrong", "{encoding:?} {signature}");
    }
}

#[test]
fn a_signature_is_there_once_or_refused() {
    assert_eq!(of_body(HmacEncoding::Hex, &HeaderMap::new(), BODY), "signature_missing");
    let twice = appended(&[("x-signature", HEX), ("x-signature", HEX)]);
    assert_eq!(of_body(HmacEncoding::Hex, &twice, BODY), "signature_repeated");
    let all = [
        (ID_HEADER, example::ID),
        (TIMESTAMP_HEADER, example::TIMESTAMP),
        (SIGNATURE_HEADER, example::SIGNATURE),
    ];
    assert_eq!(of_headers(&appended(&all), 0), "accepted");
    for (index, header) in all.iter().enumerate() {
        let mut headers = appended(&all);
        headers.remove(header.0);
        assert_eq!(of_headers(&headers, 0), "signature_missing", "{index}");
        let mut headers = appended(&all);
        headers.append(header.0, header.1.parse().unwrap());
        assert_eq!(of_headers(&headers, 0), "signature_repeated", "{index}");
    }
}

#[test]
fn the_example_of_the_specification_is_accepted() {
    assert_eq!(of_example(example::ID, example::TIMESTAMP, example::SIGNATURE, 0), "accepted");
}

#[test]
fn one_right_signature_among_several_is_enough_wherever_it_stands() {
    let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let right = example::SIGNATURE;
    for (signatures, expected) in [
        (format!("{right} {wrong}"), "accepted"),
        (format!("{wrong} {right}"), "accepted"),
        (format!("v1a,AAAA v2,{wrong} {right}"), "accepted"),
        (format!("{wrong}  {right} "), "accepted"),
        (format!("{wrong} {wrong}"), "signature_wrong"),
        // the right bytes under another version are something else
        (right.replace("v1", "v2"), "signature_wrong"),
        (right.replace("v1,", ""), "signature_wrong"),
        (format!("{wrong},{right}"), "signature_wrong"),
        (String::new(), "signature_wrong"),
        (format!("{right} {}", format!("{wrong} ").repeat(30)), "signature_wrong"),
    ] {
        assert_eq!(of_example(example::ID, example::TIMESTAMP, &signatures, 0), expected, "{signatures}");
    }
}

#[test]
fn a_timestamp_may_be_off_by_the_tolerance_in_either_direction() {
    for (after, expected) in [
        (-301, "signature_stale"),
        (-300, "accepted"),
        (300, "accepted"),
        (301, "signature_stale"),
        (86_400, "signature_stale"),
    ] {
        assert_eq!(
            of_example(example::ID, example::TIMESTAMP, example::SIGNATURE, after),
            expected,
            "{after}"
        );
    }
}

#[test]
fn only_a_right_signature_is_called_stale() {
    let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(of_example(example::ID, example::TIMESTAMP, wrong, 1000), "signature_wrong");
}

#[test]
fn an_id_or_timestamp_that_is_none_is_wrong() {
    for id in ["", "a.b", "msg_p5jXN8AQM9LWM0D4loKWxJel", &"a".repeat(257)] {
        let result = of_example(id, example::TIMESTAMP, example::SIGNATURE, 0);
        assert_eq!(result, "signature_wrong", "{id}");
    }
    for timestamp in ["", "+1614265330", "-1", "1614265330.0", "0x10", "1614265331", "9999999999999", "١"] {
        let mut headers = headers(&[(ID_HEADER, example::ID), (SIGNATURE_HEADER, example::SIGNATURE)]);
        let value = http::HeaderValue::from_bytes(timestamp.as_bytes()).unwrap();
        headers.insert(TIMESTAMP_HEADER, value);
        assert_eq!(of_headers(&headers, 0), "signature_wrong", "{timestamp}");
    }
}

#[test]
fn what_is_signed_can_not_be_shifted_between_id_timestamp_and_body() {
    let signed = |id: &str, timestamp: &str, body: &[u8]| {
        let hmac = Hmac::StandardWebhooks { secret: example::SECRET.to_owned(), tolerance_seconds: 300 };
        let signature = Signature::new(&hmac).unwrap();
        let Signature::StandardWebhooks { key, .. } = &signature else { panic!("another scheme") };
        let mac = STANDARD.encode(key.sign(&[b"a.1614265330.1614265330.body"]));
        let headers = headers(&[
            (ID_HEADER, id),
            (TIMESTAMP_HEADER, timestamp),
            (SIGNATURE_HEADER, &format!("v1,{mac}")),
        ]);
        label(&verify(&signature, &headers, body, UNIX_EPOCH + Duration::from_secs(1_614_265_330)))
    };
    assert_eq!(signed("a", "1614265330", b"1614265330.body"), "accepted");
    assert_eq!(signed("a.1614265330", "1614265330", b"body"), "signature_wrong");
}
