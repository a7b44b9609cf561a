//! What the sidecar's request path can be told: addresses, signature, filter, limits.

use telegram_webhook_sidecar_config::{AddressMode, AddressSource, Ban, Hmac, HmacEncoding, IdList, Rate};

use super::*;
use crate::fixtures::hmac_secret;

/// A resource with this text in its spec.
pub(super) fn declaring(text: &str) -> TelegramWebhook {
    webhook_with(&[("  workload:", &format!("  {text}\n  workload:"))])
}

/// A resource with this text in its endpoint.
fn behind(text: &str) -> TelegramWebhook {
    webhook_with(&[("    host: hooks", &format!("    clientAddress: {text}\n    host: hooks"))])
}

fn hmac(text: &str) -> TelegramWebhook {
    declaring(&format!("verification: {{hmac: {{{text}, secretRef: {{name: relay, key: secret}}}}}}"))
}

fn with_key(key: &[u8]) -> Found {
    Found { hmac: Some(hmac_secret(key)), ..found() }
}

#[test]
fn what_is_declared_arrives_in_one_spelling_and_order() {
    let text = "filter: {updateTypes: [poll, message], chatTypes: [], chats: {allow: [7, -100, 7]}, commands: [stop, help], expressions: [1 < 2, \"true\"]}
  limits: {maxBodyBytes: 525312, unauthenticated: {requests: 5, window: 2m}, ban: {window: 1h}, banned: [198.51.100.0/24, 192.0.2.0/24]}
  verification: {sourceAddress: {mode: Shadow, ranges: Custom, custom: ['2001:db8::/32', 203.0.113.0/24]}}";
    let valid = judge(&declaring(text), &found()).unwrap();
    assert_eq!(valid.filter.update_types, ["message", "poll"]);
    assert_eq!(valid.filter.chats, IdList { allow: vec![-100, 7], deny: vec![] });
    assert!(valid.filter.chat_types.is_empty());
    assert_eq!(
        (valid.filter.commands.join(" "), valid.filter.expressions.join(" ")),
        ("help stop".into(), "1 < 2 true".into())
    );
    assert_eq!(valid.limits.max_body_bytes, 525_312);
    assert_eq!(valid.limits.unauthenticated, Rate { requests: 5, window_seconds: 120 });
    assert_eq!(valid.limits.ban, Some(Ban { failures: 20, window_seconds: 3600, duration_seconds: 3600 }));
    assert_eq!(valid.limits.banned, ["192.0.2.0/24", "198.51.100.0/24"]);
    assert_eq!(valid.source_address.mode, AddressMode::Shadow);
    assert_eq!(valid.source_address.ranges, ["203.0.113.0/24", "2001:db8::/32"]);
    let proxied = judge(&behind("{source: ProxyProtocol, trustedProxies: [10.0.0.0/8]}"), &found()).unwrap();
    assert_eq!(proxied.client_address.source, AddressSource::ProxyProtocol);
    assert_eq!(proxied.client_address.trusted_proxies, ["10.0.0.0/8"]);
}

#[test]
fn no_failures_means_no_bans() {
    let valid = judge(&declaring("limits: {ban: {failures: 0}}"), &found()).unwrap();
    assert_eq!(valid.limits.ban, None);
}

#[test]
fn proxies_are_named_exactly_where_they_are_believed() {
    let field = "spec.endpoint.clientAddress.trustedProxies";
    for (text, fix) in [
        ("{source: ProxyProtocol}", "list the networks"),
        ("{source: XForwardedFor}", "list the networks"),
        ("{trustedProxies: [10.0.0.0/8]}", "or remove it"),
    ] {
        assert_mistake(&mistake(&behind(text), &found()), Reason::ClientAddressInvalid, field, fix);
    }
}

#[test]
fn networks_of_strangers_are_not_believed() {
    for text in ["8.0.0.0/7", "fc00::/6"] {
        let proxied = behind(&format!("{{source: XForwardedFor, trustedProxies: ['{text}']}}"));
        let field = format!("spec.endpoint.clientAddress.trustedProxies: {text}");
        assert_mistake(&mistake(&proxied, &found()), Reason::ClientAddressInvalid, &field, "or smaller");
        let listed =
            declaring(&format!("verification: {{sourceAddress: {{ranges: Custom, custom: ['{text}']}}}}"));
        let field = format!("spec.verification.sourceAddress.custom: {text}");
        assert_mistake(&mistake(&listed, &found()), Reason::SourceAddressInvalid, &field, "or smaller");
        // but may be banned
        assert!(judge(&declaring(&format!("limits: {{banned: ['{text}']}}")), &found()).is_ok());
    }
}

#[test]
fn networks_that_are_none_are_quoted() {
    for text in ["10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104", "proxy"]
    {
        let webhook = behind(&format!("{{source: ProxyProtocol, trustedProxies: ['{text}']}}"));
        let field = format!("spec.endpoint.clientAddress.trustedProxies: {text}");
        assert_mistake(
            &mistake(&webhook, &found()),
            Reason::ClientAddressInvalid,
            &field,
            "such as 10.0.0.0/8",
        );
    }
}

#[test]
fn custom_ranges_go_with_a_list_and_a_self_hosted_server_needs_them() {
    let field = "spec.verification.sourceAddress";
    for (text, fix) in
        [("{ranges: Custom}", "list the networks"), ("{custom: [192.0.2.0/24]}", "use ranges Custom")]
    {
        let webhook = declaring(&format!("verification: {{sourceAddress: {text}}}"));
        assert_mistake(&mistake(&webhook, &found()), Reason::SourceAddressInvalid, field, fix);
    }
    let self_hosted = |text: &str| {
        let bot = format!("bot: {{apiServer: \"{LOCAL}\", tokenSecretRef: {{name: support-bot}}}}");
        let verification = format!("{bot}\n  verification: {{sourceAddress: {text}}}");
        webhook_with(&[("bot:\n    tokenSecretRef: {name: support-bot}", &verification)])
    };
    for mode in ["Enforce", "Shadow"] {
        let webhook = self_hosted(&format!("{{mode: {mode}}}"));
        assert_mistake(
            &mistake(&webhook, &found()),
            Reason::SourceAddressInvalid,
            field,
            "use ranges Custom, or mode Off",
        );
    }
    for text in ["{mode: Off}", "{ranges: Custom, custom: [10.0.0.0/8]}"] {
        assert!(judge(&self_hosted(text), &found()).is_ok(), "{text}");
    }
}

#[test]
fn nobody_bans_telegram_or_the_proxies() {
    let ban = |network: &str| {
        let webhook = format!(
            "limits: {{banned: ['{network}']}}\n  verification: {{sourceAddress: {{ranges: Custom, custom: [203.0.113.0/24]}}}}"
        );
        let proxied =
            "    clientAddress: {source: ProxyProtocol, trustedProxies: ['2001:db8::/32']}\n    host: hooks";
        webhook_with(&[("  workload:", &format!("  {webhook}\n  workload:")), ("    host: hooks", proxied)])
    };
    for (network, why) in [
        ("149.154.160.0/20", "which Telegram sends from"),
        ("149.154.167.220/32", "which Telegram sends from"),
        ("91.0.0.0/8", "which Telegram sends from"),
        ("203.0.113.7/32", "which spec.verification.sourceAddress lists"),
        ("2001:db8:1::/48", "which spec.endpoint.clientAddress trusts"),
    ] {
        let field = format!("spec.limits.banned: {network}");
        assert_mistake(&mistake(&ban(network), &found()), Reason::LimitsInvalid, &field, why);
    }
    assert!(judge(&ban("198.51.100.0/24"), &found()).is_ok());
}

#[test]
fn a_body_as_large_as_telegrams_is_read() {
    for bytes in [0, 525_311, 16_777_217] {
        let webhook = declaring(&format!("limits: {{maxBodyBytes: {bytes}}}"));
        let fix = "525312, the most that Telegram sends, to 16777216";
        assert_mistake(&mistake(&webhook, &found()), Reason::LimitsInvalid, "spec.limits.maxBodyBytes", fix);
    }
    // an embedded queue holds a little less
    let largest = "limits: {maxBodyBytes: 16777216}\n  delivery: {mode: Synchronous}";
    assert!(judge(&declaring(largest), &found()).is_ok());
}

#[test]
fn periods_are_bounded() {
    for (text, field, fix) in [
        ("{authenticated: {requests: 1, window: 2h}}", "spec.limits.authenticated.window", "at most 1h"),
        ("{unauthenticated: {requests: 1, window: 1d}}", "spec.limits.unauthenticated.window", "such as 90s"),
        ("{ban: {window: 25h}}", "spec.limits.ban.window", "at most 24h"),
        ("{ban: {duration: 721h}}", "spec.limits.ban.duration", "at most 720h"),
        ("{ban: {failures: 0, window: soon}}", "spec.limits.ban.window", "such as 90s"),
    ] {
        let webhook = declaring(&format!("limits: {text}"));
        assert_mistake(&mistake(&webhook, &found()), Reason::LimitsInvalid, field, fix);
    }
}

#[test]
fn what_a_filter_can_not_mean_is_named() {
    let many = vec!["'true'"; 17].join(", ");
    let long = "é".repeat(513);
    for (text, field, fix) in [
        ("{topics: [0]}", "spec.filter.topics: ", "above 0"),
        ("{chats: {deny: [0]}}", "spec.filter.chats: ", "id 0"),
        ("{users: {allow: [7, 8], deny: [9, 8]}}", "spec.filter.users: 8", "allowed and denied"),
        ("{commands: [/start]}", "spec.filter.commands: /start", "without the slash"),
        (&format!("{{expressions: [{many}]}}"), "spec.filter.expressions: ", "at most 16"),
        (&format!("{{expressions: ['true', {long}]}}"), "spec.filter.expressions[1]: ", "1024"),
        ("{expressions: ['']}", "spec.filter.expressions[0]: ", "is not CEL"),
        ("{expressions: ['true', update.message.]}", "spec.filter.expressions[1]: ", "is not CEL: line 1"),
        ("{expressions: [has(update.mesage)]}", "spec.filter.expressions[0]: ", "did you mean `message`?"),
        ("{expressions: [update.poll.matches('a')]}", "spec.filter.expressions[0]: ", "unknown function"),
    ] {
        let webhook = declaring(&format!("filter: {text}"));
        assert_mistake(&mistake(&webhook, &found()), Reason::FilterInvalid, field, fix);
    }
    let fits = declaring(&format!("filter: {{expressions: [\"update.poll != '{}'\"]}}", "é".repeat(503)));
    assert!(judge(&fits, &found()).is_ok());
}

#[test]
fn a_relays_signature_needs_what_its_scheme_needs() {
    let field = "spec.verification.hmac";
    for (text, fix) in [
        ("scheme: Body", "needs header and encoding"),
        ("scheme: Body, header: X-Signature", "needs header and encoding"),
        ("scheme: Body, header: X-Signature, encoding: Hex, tolerance: 5m", "signs no time"),
        ("scheme: Body, header: Content-Length, encoding: Hex", "into another header"),
        ("scheme: StandardWebhooks, encoding: Hex", "remove both"),
        ("scheme: StandardWebhooks, tolerance: 2h", "at most 1h"),
    ] {
        // good for either scheme
        let found = with_key(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_mistake(&mistake(&hmac(text), &found), Reason::HmacInvalid, field, fix);
    }
}

#[test]
fn a_relays_key_reaches_the_sidecar_without_the_newline_of_an_editor() {
    let body =
        judge(&hmac("scheme: Body, header: X-Signature, encoding: Base64"), &with_key(b"0123456789abcdef\n"));
    let (header, secret) = ("X-Signature".to_owned(), "0123456789abcdef".to_owned());
    assert_eq!(body.unwrap().hmac, Some(Hmac::Body { header, encoding: HmacEncoding::Base64, secret }));
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (text, tolerance_seconds) in
        [("scheme: StandardWebhooks", 300), ("scheme: StandardWebhooks, tolerance: 90s", 90)]
    {
        let valid = judge(&hmac(text), &with_key(key.as_bytes())).unwrap();
        assert_eq!(valid.hmac, Some(Hmac::StandardWebhooks { secret: key.into(), tolerance_seconds }));
    }
}

#[test]
fn a_relays_key_is_used_only_with_the_label_and_never_quoted() {
    let unlabelled = secret("relay", &[("secret", b"0123456789abcdef")]);
    let mut other_key = hmac_secret(b"0123456789abcdef");
    let value = other_key.data.as_mut().unwrap().remove("secret").unwrap();
    other_key.data.as_mut().unwrap().insert("key".into(), value);
    let body = "scheme: Body, header: X-Signature, encoding: Hex";
    let standard = "scheme: StandardWebhooks";
    for (text, hmac_secret, reason, fix) in [
        (body, None, Reason::HmacSecretNotFound, "create it"),
        (body, Some(unlabelled), Reason::HmacSecretNotLabelled, "telegram-webhook.dev/hmac-secret=true"),
        (body, Some(other_key), Reason::HmacKeyNotFound, "has no key secret"),
        (body, Some(hmac_secret(b"SECRET")), Reason::HmacSecretMalformed, "16 to 1024"),
        (body, Some(hmac_secret(b"SECRET\xff\xfe6789abcdef")), Reason::HmacSecretMalformed, "16 to 1024"),
        (body, Some(hmac_secret(b" SECRETSECRETSECRET ")), Reason::HmacSecretMalformed, "white space"),
        (standard, Some(hmac_secret(b"SECRETSECRETSECRET")), Reason::HmacSecretMalformed, "whsec_"),
        (standard, Some(hmac_secret(b"whsec_SECRET")), Reason::HmacSecretMalformed, "24 to 64 bytes"),
    ] {
        let mistake = mistake(&hmac(text), &Found { hmac: hmac_secret, ..found() });
        assert_mistake(&mistake, reason, "spec.verification.hmac.secretRef", fix);
        assert!(!mistake.message.contains("SECRET"), "{}", mistake.message);
    }
}

#[test]
fn mistakes_of_the_request_path_are_told_together_with_the_others() {
    let webhook = declaring(
        "limits: {banned: [149.154.160.0/20]}\n  filter: {commands: [A]}\n  verification: {sourceAddress: {ranges: Custom}}",
    );
    let invalid = judge(&webhook, &Found { token: None, ..found() }).unwrap_err();
    assert_eq!((invalid.0.len(), invalid.reason()), (4, Reason::TokenSecretNotFound));
}
