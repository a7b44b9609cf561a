//! Checks the signature that a relay adds, and its key.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use telegram_webhook_crds::{HMAC_SECRET_LABEL, HmacScheme, HmacSecretRef, HmacSpec};
use telegram_webhook_sidecar_config::{
    Hmac,
    bounds::{KEY_LENGTH, KEY_PREFIX, STANDARD_KEY_LENGTH, TOLERANCE_SECONDS},
    is_reserved_header,
};

use super::{Mistake, limits::period, mistake::Mistakes};
use crate::reconcile::status::Reason;

const FIELD: &str = "spec.verification.hmac";
/// What the specification of Standard Webhooks recommends, in seconds.
const TOLERANCE: u64 = 300;

/// Checks `spec.verification.hmac`. `None` without one, or together with a mistake.
pub fn hmac(spec: Option<&HmacSpec>, secret: Option<&Secret>, mistakes: &mut Mistakes) -> Option<Hmac> {
    let HmacSpec { scheme, header, encoding, tolerance, secret_ref } = spec?;
    let secret = mistakes.take(key(*scheme, secret_ref, secret));
    match scheme {
        HmacScheme::Body => {
            if tolerance.is_some() {
                let message = format!("{FIELD}.tolerance: the scheme Body signs no time; remove it");
                mistakes.push(Reason::HmacInvalid, message);
            }
            let (Some(header), Some(encoding)) = (header.clone(), *encoding) else {
                let message = format!(
                    "{FIELD}: the scheme Body needs header and encoding: say where the relay puts the signature, and how it writes it"
                );
                mistakes.push(Reason::HmacInvalid, message);
                return None;
            };
            if is_reserved_header(&header) {
                let message = format!(
                    "{FIELD}.header: {header} has a meaning of its own; let the relay put the signature into another header"
                );
                mistakes.push(Reason::HmacInvalid, message);
            }
            Some(Hmac::Body { header, encoding, secret: secret? })
        }
        HmacScheme::StandardWebhooks => {
            if header.is_some() || encoding.is_some() {
                let message =
                    format!("{FIELD}: the scheme StandardWebhooks fixes header and encoding; remove both");
                mistakes.push(Reason::HmacInvalid, message);
            }
            let tolerance_seconds = match tolerance {
                Some(tolerance) => {
                    let field = format!("{FIELD}.tolerance");
                    period((&field, Reason::HmacInvalid), tolerance, TOLERANCE_SECONDS, mistakes)
                }
                None => TOLERANCE,
            };
            Some(Hmac::StandardWebhooks { secret: secret?, tolerance_seconds })
        }
    }
}

/// The signing key.
fn key(scheme: HmacScheme, reference: &HmacSecretRef, secret: Option<&Secret>) -> Result<String, Mistake> {
    let HmacSecretRef { name, key } = reference;
    let field = format!("{FIELD}.secretRef");
    let secret = secret.ok_or_else(|| {
        Mistake::passing(
            Reason::HmacSecretNotFound,
            format!("{field}.name: there is no Secret {name} in this namespace; create it with the relay's signing key under the key {key}"),
        )
    })?;
    if secret.labels().get(HMAC_SECRET_LABEL).map(String::as_str) != Some("true") {
        return Err(Mistake::lasting(
            Reason::HmacSecretNotLabelled,
            format!(
                "{field}.name: Secret {name} lacks the label {HMAC_SECRET_LABEL}=true, which allows the operator to use it; add the label"
            ),
        ));
    }
    let value = secret.data.as_ref().and_then(|data| data.get(key)).ok_or_else(|| {
        Mistake::lasting(
            Reason::HmacKeyNotFound,
            format!("{field}.key: Secret {name} has no key {key}; add it, or name the right key"),
        )
    })?;
    let malformed = |wanted: &str| {
        let message = format!(
            "{field}: key {key} of Secret {name} is not a signing key ({wanted}); copy the key from the relay"
        );
        Mistake::lasting(Reason::HmacSecretMalformed, message)
    };
    // the newline that `echo` and editors leave at the end is nobody's intention
    let text = str::from_utf8(&value.0).unwrap_or_default().trim_end_matches(['\r', '\n']);
    match scheme {
        HmacScheme::Body if text.trim() != text || !KEY_LENGTH.contains(&text.len()) => {
            Err(malformed("a text of 16 to 1024 bytes, without white space at its ends"))
        }
        HmacScheme::StandardWebhooks if !is_standard(text) => {
            Err(malformed("whsec_ and the base64 of 24 to 64 bytes"))
        }
        HmacScheme::Body | HmacScheme::StandardWebhooks => Ok(text.to_owned()),
    }
}

fn is_standard(text: &str) -> bool {
    let bytes = text.strip_prefix(KEY_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
    bytes.is_some_and(|bytes| STANDARD_KEY_LENGTH.contains(&bytes.len()))
}
