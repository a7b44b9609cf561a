use std::sync::Arc;

use k8s_openapi::ByteString;
use telegram_webhook_crds::ConditionType;

use super::{
    super::{
        build::build,
        dereference::Elder,
        stored::{ACCEPTED_FILE, Material, put},
    },
    *,
};

mod broker;
mod delivery;
mod request_path;

use crate::fixtures::{self, TOKEN, secret, tls_secret, token_secret, webhook, webhook_with};

const NOW: i64 = 1_790_000_000;
const LOCAL: &str = "http://telegram-bot-api.telegram:8081";

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn settings() -> Settings {
    Settings { local_api_servers: vec![LOCAL.into()], sidecar_image: "sidecar:1".into() }
}

/// A chain of one for `name`, valid for `days` around now, and its key.
fn certificate(name: &str, days: std::ops::Range<i64>) -> (String, String) {
    fixtures::certificate(name, NOW, days)
}

/// Everything as it should be.
fn found() -> Found {
    Found {
        token: Some(token_secret(TOKEN)),
        tls: Some(tls_secret(&certificate("hooks.example.com", -1..30))),
        addresses: Some(addresses(&["93.184.215.14"])),
        ..Found::default()
    }
}

fn addresses(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// With what is told only once the children are made.
fn judge(webhook: &TelegramWebhook, found: &Found) -> Result<ValidatedWebhook, Invalid> {
    let valid = validate(webhook, found, &settings(), now())?;
    valid.check_obstacles()?;
    Ok(valid)
}

/// The only mistake.
fn mistake(webhook: &TelegramWebhook, found: &Found) -> Mistake {
    let Invalid(mistakes) = judge(webhook, found).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.into_iter().next().unwrap()
}

#[track_caller]
fn assert_mistake(mistake: &Mistake, reason: Reason, field: &str, fix: &str) {
    assert_eq!(mistake.reason, reason);
    assert!(mistake.message.starts_with(field), "{}", mistake.message);
    assert!(mistake.message.contains(fix), "{}", mistake.message);
}

#[test]
fn a_resource_as_in_the_documentation_is_accepted_with_its_defaults() {
    let valid = judge(&webhook(), &found()).unwrap();
    assert_eq!((valid.namespace.as_str(), valid.name.as_str()), ("crm", "support"));
    assert_eq!(valid.bot.server, "https://api.telegram.org");
    assert_eq!(valid.bot.token.expose(), TOKEN);
    assert_eq!((valid.host.as_str(), valid.port), ("hooks.example.com", 443));
    assert_eq!((valid.max_connections, valid.path_prefix.as_str()), (40, "/telegram"));
    assert_eq!(valid.ip_address, None);
    assert_eq!((valid.upstream.port, valid.upstream.path.as_str()), (3000, "/webhooks/telegram"));
    assert_eq!(valid.selector["app"], "helpdesk");
    assert_eq!(valid.owner.controller, Some(true));
    assert!(valid.stored.is_none() && valid.registered.is_none());
    // the resource's defaults are the sidecar's own
    assert_eq!(valid.client_address, ClientAddress::default());
    assert_eq!(valid.source_address, SourceAddress::default());
    assert_eq!((valid.hmac, valid.limits, valid.filter), (None, Limits::default(), Filter::default()));
}

#[test]
fn mistakes_in_the_token_settle_token_valid() {
    let unlabelled = secret("support-bot", &[("token", TOKEN.as_bytes())]);
    let mut other_key = token_secret(TOKEN);
    let value = other_key.data.as_mut().unwrap().remove("token").unwrap();
    other_key.data.as_mut().unwrap().insert("bot-token".into(), value);
    let field = "spec.bot.tokenSecretRef";
    let cases = [
        (None, Reason::TokenSecretNotFound, "create it"),
        (Some(unlabelled), Reason::TokenSecretNotLabelled, "telegram-webhook.dev/bot-token=true"),
        (Some(other_key), Reason::TokenKeyNotFound, "has no key token"),
        (Some(token_secret("123456:short")), Reason::TokenMalformed, "@BotFather"),
        (Some(token_secret("")), Reason::TokenMalformed, "@BotFather"),
    ];
    for (token, reason, fix) in cases {
        let mistake = mistake(&webhook(), &Found { token, ..found() });
        assert_mistake(&mistake, reason, field, fix);
        assert_eq!(mistake.concern, Some(ConditionType::TokenValid));
    }
}

#[test]
fn a_newline_behind_the_token_is_forgiven() {
    let token = Some(token_secret(&format!("{TOKEN}\n")));
    let valid = judge(&webhook(), &Found { token, ..found() }).unwrap();
    assert_eq!(valid.bot.token.expose(), TOKEN);
}

#[test]
fn a_malformed_token_is_not_quoted() {
    let mut broken = token_secret("123456:SECRET SECRET SECRET SECRET SECRET SECRET");
    let mistake_text = mistake(&webhook(), &Found { token: Some(broken.clone()), ..found() });
    broken.data.as_mut().unwrap().insert("token".into(), ByteString(vec![0xff, 0xfe]));
    let binary = mistake(&webhook(), &Found { token: Some(broken), ..found() });
    assert_eq!(binary.reason, Reason::TokenMalformed);
    let shown = format!("{mistake_text:?}");
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn an_api_server_that_the_operator_was_not_told_of_gets_no_token() {
    let webhook = webhook_with(&[(
        "tokenSecretRef: {name: support-bot}",
        "{tokenSecretRef: {name: support-bot}, apiServer: \"https://evil.example.com\"}",
    )]);
    let mistake = mistake(&webhook, &found());
    assert_mistake(
        &mistake,
        Reason::ApiServerNotAllowed,
        "spec.bot.apiServer: https://evil.example.com",
        "--local-api-server",
    );
}

#[test]
fn a_host_must_have_a_public_ipv4_address() {
    let nowhere = Found { addresses: Some(Answer::NoSuchName), ..found() };
    let unknown = mistake(&webhook(), &nowhere);
    assert_mistake(&unknown, Reason::HostNotResolved, "spec.endpoint.host", "DNS record of type A");
    let cases: [(&[&str], Reason, &str); 5] = [
        (&["2001:db8::1"], Reason::HostIpv6Only, "DNS record of type A"),
        (&["10.1.2.3"], Reason::AddressReserved, "in this cluster to 10.1.2.3"),
        (&["100.64.0.1"], Reason::AddressReserved, "in this cluster to 100.64.0.1"),
        (&["172.31.255.255"], Reason::AddressReserved, "in this cluster to 172.31.255.255"),
        (&["93.184.215.14", "224.0.0.1"], Reason::AddressReserved, "in this cluster to 224.0.0.1"),
    ];
    for (texts, reason, fix) in cases {
        let found = Found { addresses: Some(addresses(texts)), ..found() };
        assert_mistake(&mistake(&webhook(), &found), reason, "spec.endpoint.host: hooks.example.com", fix);
    }
}

#[test]
fn a_host_that_is_no_name_does_not_reach_the_sidecar() {
    for host in ["93.184.215.14".to_owned(), format!("{}.example.com", "a".repeat(64))] {
        let webhook = webhook_with(&[("host: hooks.example.com", &format!("host: {host}"))]);
        // not even the children are made
        let Invalid(mistakes) = validate(&webhook, &found(), &settings(), now()).unwrap_err();
        let field = format!("spec.endpoint.host: {host}");
        assert_mistake(&mistakes[0], Reason::HostNotResolved, &field, "is not a DNS name");
    }
}

#[test]
fn addresses_beside_a_reserved_range_are_public() {
    for text in ["9.255.255.255", "11.0.0.0", "100.128.0.0", "172.32.0.0", "192.0.1.0", "223.255.255.255"] {
        let found = Found { addresses: Some(addresses(&[text, "2001:db8::1"])), ..found() };
        assert!(judge(&webhook(), &found).is_ok(), "{text}");
    }
}

#[test]
fn a_self_hosted_server_may_deliver_to_private_addresses() {
    let webhook = webhook_with(&[(
        "tokenSecretRef: {name: support-bot}",
        &format!(
            "{{tokenSecretRef: {{name: support-bot}}, apiServer: \"{LOCAL}\"}}\n  verification: {{sourceAddress: {{mode: Off}}}}"
        ),
    )]);
    let found = Found { addresses: Some(addresses(&["10.96.0.10"])), ..found() };
    let valid = judge(&webhook, &found).unwrap();
    assert_eq!(valid.bot.server, LOCAL);
}

#[test]
fn a_fixed_address_replaces_the_look_up() {
    let with = |address: &str| {
        webhook_with(&[(
            "host: hooks.example.com",
            &format!("host: hooks.example.com\n    ipAddress: {address}"),
        )])
    };
    let unresolved = Found { addresses: None, ..found() };
    let valid = judge(&with("93.184.215.14"), &unresolved).unwrap();
    assert_eq!(valid.ip_address.unwrap().to_string(), "93.184.215.14");
    let field = "spec.endpoint.ipAddress";
    assert_mistake(&mistake(&with("192.168.1.1"), &unresolved), Reason::AddressReserved, field, "public");
    assert_mistake(&mistake(&with("'2001:db8::1'"), &unresolved), Reason::AddressInvalid, field, "IPv4");
}

#[test]
fn a_port_that_telegram_does_not_deliver_to_is_refused() {
    let webhook = webhook_with(&[("host: hooks.example.com", "host: hooks.example.com\n    port: 8080")]);
    assert_mistake(&mistake(&webhook, &found()), Reason::PortNotAllowed, "spec.endpoint.port", "443");
}

#[test]
fn the_certificate_must_be_one_that_telegram_can_accept() {
    let good = certificate("hooks.example.com", -1..30);
    let other = certificate("hooks.example.com", -1..30);
    let without_key = secret("hooks-tls", &[("tls.crt", good.0.as_bytes())]);
    let garbage = secret("hooks-tls", &[("tls.crt", b"x"), ("tls.key", good.1.as_bytes())]);
    let bad_key = secret("hooks-tls", &[("tls.crt", good.0.as_bytes()), ("tls.key", b"x")]);
    let cases = [
        (None, Reason::TlsSecretNotFound, "create it"),
        (Some(without_key), Reason::TlsSecretIncomplete, "tls.key"),
        (Some(garbage), Reason::CertificateUnreadable, "tls.crt"),
        (Some(bad_key), Reason::CertificateUnreadable, "tls.key"),
        (Some(tls_secret(&certificate("hooks.example.com", -30..-1))), Reason::CertificateExpired, "renew"),
        (
            Some(tls_secret(&certificate("hooks.example.com", 1..30))),
            Reason::CertificateNotYetValid,
            "valid only from",
        ),
        (
            Some(tls_secret(&certificate("other.example.com", -1..30))),
            Reason::CertificateNameMismatch,
            "not for hooks.example.com",
        ),
        (Some(tls_secret(&(good.0.clone(), other.1))), Reason::CertificateKeyMismatch, "belongs together"),
    ];
    for (tls, reason, fix) in cases {
        let mistake = mistake(&webhook(), &Found { tls, ..found() });
        assert_mistake(&mistake, reason, "spec.endpoint.tls.secretRef", fix);
        assert!(!mistake.message.contains("PRIVATE KEY"));
    }
}

#[test]
fn a_wildcard_certificate_covers_the_host() {
    let tls = Some(tls_secret(&certificate("*.example.com", -1..30)));
    assert!(judge(&webhook(), &Found { tls, ..found() }).is_ok());
}

fn elder(namespace: &str, bot_id: Option<i64>, token: Option<Secret>) -> Found {
    let change = format!("namespace: {namespace}\n");
    let webhook =
        webhook_with(&[("name: support\n", "name: first\n"), ("namespace: crm\n", change.as_str())]);
    Found { elders: vec![Elder { webhook: Arc::new(webhook), bot_id, token }], ..found() }
}

#[test]
fn of_two_resources_for_one_bot_the_younger_is_told_of_the_older() {
    let mistake = mistake(&webhook(), &elder("crm", Some(123_456), None));
    assert_mistake(&mistake, Reason::DuplicateBot, "spec.bot", "TelegramWebhook first");
    assert_eq!(
        (mistake.concern, mistake.outlook),
        (Some(ConditionType::WebhookRegistered), Outlook::Lasting)
    );
    assert!(judge(&webhook(), &elder("crm", Some(7), None)).is_ok());
}

#[test]
fn a_resource_of_another_namespace_is_not_named() {
    let mistake = mistake(&webhook(), &elder("sales", Some(123_456), None));
    assert_mistake(&mistake, Reason::DuplicateBot, "spec.bot", "another namespace");
    assert!(!mistake.message.contains("sales") && !mistake.message.contains("first"), "{mistake:?}");
}

#[test]
fn an_older_resource_has_a_bot_only_if_it_has_the_token() {
    let with = |token| judge(&webhook(), &elder("sales", None, token));
    assert!(with(Some(token_secret(TOKEN))).is_err());
    // anybody can know a bot's id
    assert!(with(Some(token_secret(&TOKEN.replace("ABC", "XYZ")))).is_ok());
    assert!(with(Some(secret("support-bot", &[("token", TOKEN.as_bytes())]))).is_ok(), "without the label");
    assert!(with(None).is_ok());
}

#[test]
fn an_object_of_somebody_else_with_a_childs_name_is_not_overwritten() {
    let child_secret = Some(secret("support-telegram-webhook", &[]));
    let found = Found { child_secret, ..found() };
    let Invalid(mistakes) = judge(&webhook(), &found).unwrap_err();
    assert_mistake(
        &mistakes[0],
        Reason::ChildNotOurs,
        "metadata.name: Secret support-telegram-webhook",
        "delete it",
    );
}

#[test]
fn our_own_secret_made_unreadable_is_named_and_not_replaced() {
    let mut child = secret("support-telegram-webhook", &[("config.json", b"{\"slots\": \"SECRET\"}")]);
    child.metadata.owner_references = Some(vec![webhook().controller_owner_ref(&()).unwrap()]);
    let found = Found { child_secret: Some(child), ..found() };
    let mistake = mistake(&webhook(), &found);
    assert_mistake(&mistake, Reason::ChildUnreadable, "Secret support-telegram-webhook", "config.json");
    assert!(!mistake.message.contains("SECRET"), "{}", mistake.message);
}

#[test]
fn all_mistakes_are_told_at_once_and_the_first_gives_the_reason() {
    let found = Found {
        token: None,
        tls: Some(tls_secret(&certificate("other.example.com", -1..30))),
        addresses: Some(Answer::NoSuchName),
        ..found()
    };
    let invalid = judge(&webhook(), &found).unwrap_err();
    assert_eq!(invalid.0.len(), 3);
    assert_eq!(invalid.reason(), Reason::TokenSecretNotFound);
    let text = invalid.to_string();
    for field in ["spec.bot.tokenSecretRef", "spec.endpoint.host", "spec.endpoint.tls.secretRef"] {
        assert!(text.contains(field), "{text}");
    }
}

/// Our own Secret, with or without a webhook that Telegram accepted.
fn child_secret(accepted: bool) -> Secret {
    let valid = judge(&webhook(), &found()).unwrap();
    let mut prepared = build(&valid, Material::draw().unwrap(), Timestamp::UNIX_EPOCH);
    if accepted {
        put(&mut prepared.secret, ACCEPTED_FILE, &prepared.wanted);
    }
    prepared.secret
}

#[test]
fn a_mistake_in_the_address_stops_everything_only_once_a_webhook_works() {
    for accepted in [false, true] {
        let found = Found {
            child_secret: Some(child_secret(accepted)),
            addresses: Some(Answer::NoSuchName),
            ..found()
        };
        // the children can be made: the name may be waiting for the Service's address
        let children = validate(&webhook(), &found, &settings(), now());
        assert_eq!(children.is_err(), accepted);
        // but Telegram isn't told
        let invalid = judge(&webhook(), &found).unwrap_err();
        assert_eq!(invalid.reason(), Reason::HostNotResolved);
    }
}

#[test]
fn a_silent_dns_is_no_mistake_and_matters_only_to_a_host_that_telegram_has_not_accepted() {
    let silent = |accepted: bool| Found {
        child_secret: accepted.then(|| child_secret(true)),
        addresses: Some(Answer::NoAnswer),
        ..found()
    };
    let new = mistake(&webhook(), &silent(false));
    assert_mistake(&new, Reason::DnsUnavailable, "spec.endpoint.host", "DNS");
    assert_eq!(new.outlook, Outlook::Interrupted);
    assert!(judge(&webhook(), &silent(true)).is_ok());
    let moved = webhook_with(&[("host: hooks.example.com", "host: moved.example.com")]);
    let tls = Some(tls_secret(&certificate("moved.example.com", -1..30)));
    let moving = mistake(&moved, &Found { tls, ..silent(true) });
    assert_eq!(moving.reason, Reason::DnsUnavailable);
}
