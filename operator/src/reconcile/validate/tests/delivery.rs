//! How updates reach the CRM, and the Secrets that the CRM knows too.

use telegram_webhook_sidecar_config::{AnswerAfter, Backend, Delivery, DeliveryMode, Secret as SecretText};

use super::{request_path::declaring, *};
use crate::fixtures::delivery_secret;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn delivering(text: &str) -> TelegramWebhook {
    declaring(&format!("delivery: {{{text}}}"))
}

fn valid(text: &str) -> ValidDelivery {
    judge(&delivering(text), &found()).unwrap().delivery
}

#[test]
fn what_is_left_out_is_what_the_sidecar_takes_for_left_out() {
    let valid = judge(&webhook(), &found()).unwrap();
    assert_eq!(valid.delivery.delivery, Delivery::default());
    assert_eq!(valid.limits, telegram_webhook_sidecar_config::Limits::default());
    let ValidDelivery { signing_key, place, .. } = valid.delivery;
    assert_eq!((signing_key, place.unwrap().room), (None, Some(512 << 20)));
}

#[test]
fn what_is_declared_arrives() {
    let queued = "answerAfter: Delivered, timeout: 10s, maxAttempts: 3, concurrency: 4, deadLetter: {retention: 24h}, backend: {embedded: {size: 1Gi, volume: {name: data}}}";
    let valid_ = judge(&delivering(queued), &found()).unwrap();
    assert_eq!(valid_.limits.upstream_timeout_seconds, 10);
    let place = valid_.delivery.place.unwrap();
    assert_eq!((place.volume.unwrap().sub_path.as_str(), place.room), ("telegram-webhook-sidecar", None));
    assert_eq!(
        valid_.delivery.delivery,
        Delivery {
            answer_after: AnswerAfter::Delivered,
            max_attempts: 3,
            concurrency: 4,
            dead_letter_retention_hours: 24,
            backend: Backend::Embedded { max_bytes: 1 << 30 },
            ..Delivery::default()
        }
    );
    let synchronous = valid("mode: Synchronous, replyMethods: [sendMessage, answerCallbackQuery]");
    assert_eq!(synchronous.delivery.mode, DeliveryMode::Synchronous);
    assert_eq!(synchronous.delivery.reply_methods, ["answerCallbackQuery", "sendMessage"]);
    assert_eq!(synchronous.place, None);
}

#[test]
fn what_makes_no_sense_is_named_with_its_fix() {
    for (text, field, fix) in [
        ("replyMethods: [sendMessage]", "replyMethods", "use mode Synchronous"),
        (
            "mode: Synchronous, replyMethods: [send_message]",
            "replyMethods: send_message",
            "such as sendMessage",
        ),
        ("mode: Synchronous, answerAfter: Delivered", "answerAfter", "remove answerAfter"),
        ("mode: Synchronous, backend: {embedded: {}}", "backend", "remove backend"),
        ("backend: {}", "backend", "exactly one"),
        ("timeout: 36s", "timeout", "at most 35s"),
        ("timeout: soon", "timeout", "such as 90s"),
        ("maxAttempts: 0", "maxAttempts", "from 1 to 100"),
        ("maxAttempts: 101", "maxAttempts", "from 1 to 100"),
        ("concurrency: 257", "concurrency", "from 1 to 256"),
        ("deadLetter: {retention: 90m}", "deadLetter.retention", "such as 168h"),
        ("deadLetter: {retention: 8761h}", "deadLetter.retention", "at most 8760h"),
        ("backend: {embedded: {size: 63Mi}}", "backend.embedded.size", "from 64Mi to 64Gi"),
        ("backend: {embedded: {size: 65Gi}}", "backend.embedded.size", "from 64Mi to 64Gi"),
        ("backend: {embedded: {size: 512M}}", "backend.embedded.size", "such as 512Mi"),
    ] {
        let mistake = mistake(&delivering(text), &found());
        assert_mistake(&mistake, Reason::DeliveryInvalid, &format!("spec.delivery.{field}"), fix);
    }
}

#[test]
fn a_body_that_the_queue_can_not_hold_is_not_let_in() {
    let queue = |limit: usize, delivery: &str| {
        declaring(&format!("limits: {{maxBodyBytes: {limit}}}\n  delivery: {{{delivery}}}"))
    };
    let size = "spec.delivery.backend.embedded.size";
    for (limit, delivery, fix) in [
        (
            4 << 20,
            "backend: {embedded: {size: 64Mi}}",
            format!(
                "at most 2095104 bytes, which are the longest that such a queue can hold; lower it, or raise {size}"
            ),
        ),
        (
            16 << 20,
            "backend: {embedded: {size: 64Gi}}",
            "at most 16775168 bytes, which are the longest that such a queue can hold; lower it".to_owned(),
        ),
    ] {
        let mistake = mistake(&queue(limit, delivery), &found());
        assert_mistake(&mistake, Reason::LimitsInvalid, "spec.limits.maxBodyBytes", &fix);
        assert!(mistake.message.ends_with(&fix), "{}", mistake.message);
    }
    for delivery in ["backend: {embedded: {size: 256Mi}}", "mode: Synchronous"] {
        let valid = judge(&queue(4 << 20, delivery), &found()).unwrap();
        assert_eq!(valid.limits.max_body_bytes, 4 << 20);
    }
}

#[test]
fn a_secret_is_used_only_with_the_label_and_never_quoted() {
    let unlabelled = secret("crm", &[("secret", b"SECRET")]);
    let other = |key: &str| {
        let mut secret = delivery_secret("crm", b"SECRET");
        let value = secret.data.as_mut().unwrap().remove("secret").unwrap();
        secret.data.as_mut().unwrap().insert(key.into(), value);
        secret
    };
    let cases = [
        (None, Reason::DeliverySecretNotFound, "create it"),
        (Some(unlabelled), Reason::DeliverySecretNotLabelled, "telegram-webhook.dev/delivery-secret=true"),
        (Some(other("key")), Reason::DeliveryKeyNotFound, "has no key secret"),
        (Some(delivery_secret("crm", b"SECRET SECRET")), Reason::DeliverySecretMalformed, "crm"),
        (Some(delivery_secret("crm", b"whsec_SECRET=")), Reason::DeliverySecretMalformed, "crm"),
        (Some(delivery_secret("crm", b"SECRET\xff")), Reason::DeliverySecretMalformed, "crm"),
    ];
    for (secret, reason, fix) in cases {
        for field in ["signingSecretRef", "secretTokenSecretRef"] {
            let webhook = delivering(&format!("{field}: {{name: crm, key: secret}}"));
            let found = Found { signing: secret.clone(), secret_token: secret.clone(), ..found() };
            // without a reference that Secret is our own
            let found = if field == "signingSecretRef" { found } else { Found { signing: None, ..found } };
            let mistake = mistake(&webhook, &found);
            assert_mistake(&mistake, reason, &format!("spec.delivery.{field}"), fix);
            assert!(!mistake.message.contains("SECRET"), "{}", mistake.message);
        }
    }
}

#[test]
fn secrets_reach_the_sidecar_without_the_newline_of_an_editor() {
    let references = "signingSecretRef: {name: a, key: secret}, secretTokenSecretRef: {name: b, key: secret}";
    let found = Found {
        signing: Some(delivery_secret("a", format!("{KEY}\n").as_bytes())),
        secret_token: Some(delivery_secret("b", b"a-Token_7\r\n")),
        ..found()
    };
    let valid = judge(&delivering(references), &found).unwrap().delivery;
    assert_eq!(valid.signing_key, Some(SecretText(KEY.into())));
    assert_eq!(valid.delivery.secret_token, Some(SecretText("a-Token_7".into())));
}

#[test]
fn a_key_of_ours_that_somebody_broke_is_not_replaced_unasked() {
    let mut own = secret("support-telegram-webhook-signing", &[("key", b"whsec_SECRET")]);
    own.metadata.owner_references = Some(vec![webhook().controller_owner_ref(&()).unwrap()]);
    let mistake = mistake(&webhook(), &Found { signing: Some(own.clone()), ..found() });
    let field = "Secret support-telegram-webhook-signing: key key";
    assert_mistake(&mistake, Reason::DeliverySecretMalformed, field, "delete the Secret to get a new one");
    assert!(!mistake.message.contains("SECRET"), "{}", mistake.message);
    own.data.as_mut().unwrap().insert("key".into(), ByteString(KEY.into()));
    let valid = judge(&webhook(), &Found { signing: Some(own), ..found() }).unwrap();
    assert_eq!(valid.delivery.signing_key, Some(SecretText(KEY.into())));
}
