use super::*;
use crate::ingress::TOKEN_HEADER;

fn body(header: &str, secret: &str) -> raw::Hmac {
    raw::Hmac::Body { header: header.to_owned(), encoding: HmacEncoding::Hex, secret: secret.to_owned() }
}

fn standard(secret: &str, tolerance_seconds: u64) -> raw::Hmac {
    raw::Hmac::StandardWebhooks { secret: secret.to_owned(), tolerance_seconds }
}

fn fields(hmac: &raw::Hmac) -> Vec<&'static str> {
    let mistakes = Signature::new(hmac).err().unwrap_or_default();
    mistakes.into_iter().map(|mistake| mistake.field).collect()
}

#[test]
fn what_relays_use_is_valid() {
    for hmac in [
        body("X-Hub-Signature-256", &"s".repeat(16)),
        body("x-signature", &"s".repeat(1024)),
        standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1),
        standard("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 3600),
    ] {
        assert_eq!(fields(&hmac), Vec::<&str>::new(), "{hmac:?}");
    }
}

#[test]
fn every_mistake_is_named_at_once() {
    assert_eq!(fields(&body("not a header", "short")), ["hmac.header", "hmac.secret"]);
    assert_eq!(fields(&standard("whsec_!", 0)), ["hmac.secret", "hmac.toleranceSeconds"]);
}

#[test]
fn each_field_has_its_bounds() {
    let secret = "s".repeat(16);
    for header in ["", "a b", "ä", "Content-Length", "transfer-encoding", "X-Forwarded-For", TOKEN_HEADER] {
        assert_eq!(fields(&body(header, &secret)), ["hmac.header"], "{header}");
    }
    for secret in ["", &"s".repeat(15), &"s".repeat(1025), &format!("{secret}\n")] {
        assert_eq!(fields(&body("x-signature", secret)), ["hmac.secret"], "{secret:?}");
    }
    // empty, too short, without padding, with the other alphabet
    for secret in
        ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "____________________________"]
    {
        assert_eq!(fields(&standard(secret, 300)), ["hmac.secret"], "{secret:?}");
    }
    for tolerance in [0, 3601, u64::MAX] {
        let hmac = standard("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", tolerance);
        assert_eq!(fields(&hmac), ["hmac.toleranceSeconds"], "{tolerance}");
    }
}

#[test]
fn neither_mistakes_nor_debug_output_hold_the_secret() {
    let secret = "aSecretThatNobodySees";
    let shown = format!(
        "{:?} {:?} {:?}",
        Signature::new(&body("x-signature", secret)),
        Signature::new(&body("x-signature", &format!("{secret}\n"))),
        Signature::new(&standard(secret, 300)),
    );
    assert!(!shown.contains(secret), "{shown}");
    assert!(shown.contains("SigningKey(..)") && shown.contains("base64"), "{shown}");
}
