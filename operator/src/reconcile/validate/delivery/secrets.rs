//! Checks what is in the Secrets that the CRM knows too.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::ResourceExt as _;
use telegram_webhook_crds::{
    DELIVERY_SECRET_LABEL, DeliverySecretRef, SIGNING_KEY, TelegramWebhook, signing_secret_name,
};
use telegram_webhook_sidecar_config::{
    Secret,
    bounds::{KEY_PREFIX, MAX_SECRET_TOKEN_LENGTH, STANDARD_KEY_LENGTH},
};

use super::FIELD;
use crate::reconcile::{status::Reason, validate::Mistake};

/// The text under a key of a Secret that may be used.
pub fn labelled<'a>(
    field: &str,
    reference: &DeliverySecretRef,
    secret: Option<&'a KubeSecret>,
) -> Result<&'a str, Mistake> {
    let DeliverySecretRef { name, key } = reference;
    let secret = allowed(field, name, secret, &format!("with the key {key}"))?;
    text(secret, key).ok_or_else(|| lacking(field, name, key))
}

/// A Secret that may be used.
pub fn allowed<'a>(
    field: &str,
    name: &str,
    secret: Option<&'a KubeSecret>,
    content: &str,
) -> Result<&'a KubeSecret, Mistake> {
    let secret = secret.ok_or_else(|| {
        Mistake::passing(
            Reason::DeliverySecretNotFound,
            format!(
                "{FIELD}.{field}.name: there is no Secret {name} in this namespace; create it {content}, or remove the reference"
            ),
        )
    })?;
    if secret.labels().get(DELIVERY_SECRET_LABEL).map(String::as_str) != Some("true") {
        return Err(Mistake::lasting(
            Reason::DeliverySecretNotLabelled,
            format!(
                "{FIELD}.{field}.name: Secret {name} lacks the label {DELIVERY_SECRET_LABEL}=true, which allows the operator to use it; add the label"
            ),
        ));
    }
    Ok(secret)
}

/// There is no such key.
pub fn lacking(field: &str, name: &str, key: &str) -> Mistake {
    Mistake::lasting(
        Reason::DeliveryKeyNotFound,
        format!("{FIELD}.{field}: Secret {name} has no key {key}; add it, or name the right one"),
    )
}

/// Without the newline that `echo` and editors leave at the end, which is nobody's intention. What isn't text is nothing.
pub fn text<'a>(secret: &'a KubeSecret, key: &str) -> Option<&'a str> {
    let value = secret.data.as_ref()?.get(key)?;
    Some(str::from_utf8(&value.0).unwrap_or_default().trim_end_matches(['\r', '\n']))
}

/// What the CRM expects of Telegram.
pub fn secret_token(reference: &DeliverySecretRef, text: &str) -> Result<Secret, Mistake> {
    let DeliverySecretRef { name, key } = reference;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=MAX_SECRET_TOKEN_LENGTH).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(Secret(text.to_owned()));
    }
    let message = format!(
        "{FIELD}.secretTokenSecretRef: key {key} of Secret {name} is no secret token (1 to {MAX_SECRET_TOKEN_LENGTH} characters A-Z, a-z, 0-9, _ and -); set the one that the CRM expects"
    );
    Err(Mistake::lasting(Reason::DeliverySecretMalformed, message))
}

/// A key that deliveries can be signed with.
pub fn signing_key(reference: &DeliverySecretRef, text: &str) -> Result<Secret, Mistake> {
    let DeliverySecretRef { name, key } = reference;
    standard(text).ok_or_else(|| {
        let message = format!(
            "{FIELD}.signingSecretRef: key {key} of Secret {name} is not a signing key (whsec_ and the base64 of 24 to 64 bytes); make one with: echo whsec_$(openssl rand -base64 32)"
        );
        Mistake::lasting(Reason::DeliverySecretMalformed, message)
    })
}

/// The key that the operator made; `None` if it has to make one.
pub fn own_signing_key(
    webhook: &TelegramWebhook,
    secret: Option<&KubeSecret>,
) -> Result<Option<Secret>, Mistake> {
    let Some(secret) = secret else {
        return Ok(None);
    };
    match text(secret, SIGNING_KEY).and_then(standard) {
        Some(key) => Ok(Some(key)),
        None => Err(Mistake::lasting(
            Reason::DeliverySecretMalformed,
            format!(
                "Secret {}: key {SIGNING_KEY} is not the signing key that the operator made; restore it, or delete the Secret to get a new one",
                signing_secret_name(&webhook.name_any())
            ),
        )),
    }
}

fn standard(text: &str) -> Option<Secret> {
    let bytes = text.strip_prefix(KEY_PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok())?;
    STANDARD_KEY_LENGTH.contains(&bytes.len()).then(|| Secret(text.to_owned()))
}
