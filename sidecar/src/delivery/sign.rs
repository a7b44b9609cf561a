//! Names and signs a delivery as <https://www.standardwebhooks.com> says, so that the CRM can tell that it comes from here, and which
//! update it has had before.

use std::{fmt::Write as _, time::SystemTime};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use crate::{
    config::{MAC_LENGTH, SigningKey},
    queue::millis,
};

pub(super) const ID: HeaderName = HeaderName::from_static("webhook-id");
pub(super) const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Bytes of a signature with what stands in front of it.
const SIGNATURE_LENGTH: usize = "v1,".len() + MAC_LENGTH.div_ceil(3) * 4;
/// Bytes of an id and a time, each with what follows it.
const PREFIX_LENGTH: usize = 64;
/// Bytes of a digest that name an update which has no id.
const NAMING_BYTES: usize = 8;

/// What a delivery says of itself. All of it is slices of one text, `<id>.<timestamp>.<signatures>`, the front of which is signed.
#[derive(Debug)]
pub(super) struct Signed {
    text: Bytes,
    id_end: usize,
    timestamp_end: usize,
}

/// Names an update to the CRM: the same for each attempt.
pub(super) fn delivery_id(bot_id: i64, update_id: Option<i64>, body: &[u8]) -> String {
    let mut id = String::with_capacity(PREFIX_LENGTH + keys_length(2));
    // writing to a string can't fail
    let written = if let Some(update_id) = update_id {
        write!(id, "{bot_id}-{update_id}")
    } else {
        let digest = Sha256::digest(body);
        let naming = digest.get(..NAMING_BYTES).unwrap_or_default();
        write!(id, "{bot_id}-m{}", hex::encode(naming))
    };
    debug_assert!(written.is_ok());
    id
}

/// Signs with each of the keys; with none there is no signature.
pub(super) fn sign(id: String, at: SystemTime, body: &[u8], keys: &[SigningKey]) -> Signed {
    let mut text = id;
    let id_end = text.len();
    let written = write!(text, ".{}", millis(at) / 1000);
    debug_assert!(written.is_ok());
    let timestamp_end = text.len();
    text.push('.');
    let signed = text.len();
    for key in keys {
        let mac = key.sign(&[text.as_bytes().get(..signed).unwrap_or_default(), body]);
        text.push_str(if text.len() == signed { "v1," } else { " v1," });
        STANDARD.encode_string(mac, &mut text);
    }
    Signed { text: text.into(), id_end, timestamp_end }
}

fn keys_length(keys: usize) -> usize {
    keys * (SIGNATURE_LENGTH + 1)
}

// === impl Signed ===

impl Signed {
    pub(super) fn insert_into(&self, headers: &mut HeaderMap) {
        let Self { text, id_end, timestamp_end } = self;
        let (signature, length) = (timestamp_end + 1, text.len());
        let mut insert = |name, value| {
            // ids, numbers and base64 are never refused
            if let Ok(value) = HeaderValue::from_maybe_shared(value) {
                headers.insert(name, value);
            }
        };
        insert(ID, text.slice(..*id_end));
        insert(TIMESTAMP, text.slice(id_end + 1..*timestamp_end));
        if signature < length {
            insert(SIGNATURE, text.slice(signature..));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use telegram_webhook_sidecar_config::Hmac;

    use super::*;
    use crate::config::Signature;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn key(secret: &str) -> SigningKey {
        let hmac = Hmac::StandardWebhooks { secret: secret.to_owned(), tolerance_seconds: 300 };
        match Signature::new(&hmac).unwrap() {
            Signature::StandardWebhooks { key, .. } => key,
            Signature::Body { .. } => panic!("of another kind"),
        }
    }

    fn headers(keys: &[SigningKey]) -> HeaderMap {
        let at = UNIX_EPOCH + Duration::from_millis(1_614_265_330_999);
        let mut headers = HeaderMap::new();
        sign("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(), at, BODY, keys).insert_into(&mut headers);
        headers
    }

    #[test]
    fn a_delivery_is_signed_as_the_specifications_example_is() {
        let headers = headers(&[key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]);
        assert_eq!(headers[ID], "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers[TIMESTAMP], "1614265330");
        assert_eq!(headers[SIGNATURE], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn while_a_key_is_replaced_either_one_proves_it() {
        let (old, new) = (key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), key(&"A".repeat(32)));
        let both = headers(&[new, old]);
        let both: Vec<_> = both[SIGNATURE].to_str().unwrap().split(' ').collect();
        let alone = headers(&[key(&"A".repeat(32))]);
        assert_eq!(
            both,
            [alone[SIGNATURE].to_str().unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="]
        );
        assert!(both.iter().all(|signature| signature.len() == SIGNATURE_LENGTH));
    }

    #[test]
    fn without_a_key_there_is_no_signature() {
        let headers = headers(&[]);
        assert!(headers.contains_key(TIMESTAMP) && !headers.contains_key(SIGNATURE));
    }

    #[test]
    fn an_update_is_named_by_its_id_and_one_without_by_its_bytes() {
        assert_eq!(delivery_id(123, Some(45), BODY), "123-45");
        // echo -n abc | sha256sum
        assert_eq!(delivery_id(123, None, b"abc"), "123-mba7816bf8f01cfea");
    }
}
