use std::{fs, path::Path, time::Duration};

use telegram_webhook_sidecar_config::{
    AddressSource, CONFIG_FILE, DeliveryMode, Hmac, TLS_CERT_FILE, TLS_KEY_FILE, WebhookConfig, bounds,
};

use super::*;
use crate::{
    ingress::dedup::MAX_PATIENCE,
    test_util::{raw_config, slot, write_webhook},
};

/// The policy that a folder leads to at a start, and what is wrong with it.
fn load(dir: &Path) -> (Policy, Vec<String>) {
    let (policy, problems) = Policy::default().followed_by(Snapshot::read(dir));
    (policy, problems.iter().map(ToString::to_string).collect())
}

/// What is wrong with a folder that holds one webhook, changed.
fn problems_of(change: impl FnOnce(&mut WebhookConfig)) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let mut config = raw_config("a");
    change(&mut config);
    write_webhook(dir.path(), "a", &config);
    let (policy, problems) = load(dir.path());
    assert_eq!(policy.webhooks().is_empty(), !problems.is_empty());
    problems
}

#[test]
fn a_valid_folder_has_no_problems() {
    assert_eq!(problems_of(|_| {}), Vec::<String>::new());
}

#[test]
fn each_field_is_checked_and_named() {
    type Change = fn(&mut WebhookConfig);
    let cases: [(&str, Change); 22] = [
        ("webhook", |c| c.webhook = "support".into()),
        ("webhook", |c| c.webhook = "/support".into()),
        ("botId", |c| c.bot_id = 0),
        ("host", |c| c.host = String::new()),
        ("host", |c| c.host = "192.0.2.1:443".into()),
        ("slots", |c| c.slots = Vec::new()),
        ("slots", |c| {
            c.slots = (1..=3).map(|id| slot(id, "/p", "t")).collect();
        }),
        ("slots[0].id", |c| c.slots = vec![slot(0, "/p", "t")]),
        ("slots[1].id", |c| {
            c.slots = vec![slot(1, "/p", "t"), slot(1, "/q", "u")];
        }),
        ("slots[0].path", |c| c.slots = vec![slot(1, "/", "t")]),
        ("slots[0].path", |c| c.slots = vec![slot(1, "/p?q", "t")]),
        ("slots[0].path", |c| c.slots = vec![slot(1, "/p%2f", "t")]),
        ("slots[0].secretToken", |c| c.slots = vec![slot(1, "/p", "")]),
        ("slots[0].secretToken", |c| {
            c.slots = vec![slot(1, "/p", &"t".repeat(257))];
        }),
        ("limits.maxBodyBytes", |c| {
            c.limits.max_body_bytes = 4 << 20;
            c.delivery.mode = DeliveryMode::Queued;
            c.delivery.backend = telegram_webhook_sidecar_config::Backend::Embedded { max_bytes: 64 << 20 };
        }),
        ("upstream.port", |c| c.upstream.port = 0),
        ("upstream.path", |c| c.upstream.path = "updates".into()),
        ("limits.maxBodyBytes", |c| c.limits.max_body_bytes = 0),
        ("limits.bodyTimeoutSeconds", |c| c.limits.body_timeout_seconds = 0),
        ("limits.bodyTimeoutSeconds", |c| c.limits.body_timeout_seconds = 16),
        ("limits.upstreamTimeoutSeconds", |c| {
            c.limits.upstream_timeout_seconds = 36;
        }),
        ("hmac.secret", |c| {
            c.hmac = Some(Hmac::StandardWebhooks { secret: "whsec_".to_owned(), tolerance_seconds: 300 });
        }),
    ];
    for (field, change) in cases {
        let problems = problems_of(change);
        let [problem] = problems.as_slice() else {
            panic!("{field}: one problem expected: {problems:?}");
        };
        assert!(problem.starts_with(&format!("a/config.json: {field}: ")), "{problem}");
    }
}

#[test]
fn the_largest_allowed_values_are_allowed() {
    let problems = problems_of(|config| {
        config.slots = vec![slot(1, "/p", &"t".repeat(256)), slot(2, "/p", "u")];
        config.limits.body_timeout_seconds = 15;
        config.limits.upstream_timeout_seconds = 35;
    });
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn telegram_waits_for_the_longest_request() {
    let patience = bounds::BODY_TIMEOUT_SECONDS.end() + bounds::UPSTREAM_TIMEOUT_SECONDS.end();
    assert!(Duration::from_secs(patience) + MAX_PATIENCE <= Duration::from_mins(1));
}

#[test]
fn of_two_webhooks_with_one_name_and_path_the_one_that_was_there_first_stays() {
    for first in ["a", "b"] {
        let second = if first == "a" { "b" } else { "a" };
        let dir = tempfile::tempdir().unwrap();
        write_webhook(dir.path(), first, &raw_config("x"));
        let (policy, _) = load(dir.path());
        write_webhook(dir.path(), second, &raw_config("x"));
        let (policy, problems) = policy.followed_by(Snapshot::read(dir.path()));
        let folders: Vec<_> = policy.webhooks().iter().filter_map(|webhook| webhook.place.folder()).collect();
        assert_eq!(folders, [first]);
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let same = |field: &str| format!("{second}/config.json: {field}: the folder {first} has the same");
        let bot = format!(
            "{}, and a bot has one webhook: remove one of the two, or name another bot",
            same("botId")
        );
        assert_eq!(problems, [same("webhook"), bot, same("slots[0].path")]);
    }
}

#[test]
fn of_two_webhooks_of_one_bot_the_one_that_was_there_first_is_served_or_the_first_by_name() {
    let of_bot = |name: &str| WebhookConfig { bot_id: 7, ..raw_config(name) };
    let told = |first: &str, second: &str| {
        format!(
            "{second}/config.json: botId: the folder {first} has the same, and a bot has one webhook: remove one of the two, or name \
             another bot"
        )
    };
    let served = |policy: &Policy| {
        policy.webhooks().iter().map(|webhook| webhook.name.to_string()).collect::<Vec<_>>()
    };
    for (first, second) in [("a", "b"), ("b", "a")] {
        let dir = tempfile::tempdir().unwrap();
        write_webhook(dir.path(), first, &of_bot(first));
        let (policy, _) = load(dir.path());
        write_webhook(dir.path(), second, &of_bot(second));
        let (policy, problems) = policy.followed_by(Snapshot::read(dir.path()));
        assert_eq!(served(&policy), [format!("crm/{first}")]);
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [told(first, second)]);
        // whoever starts with both can't know which one was there before
        let (policy, problems) = load(dir.path());
        assert_eq!((served(&policy), problems), (vec!["crm/a".to_owned()], vec![told("a", "b")]));
    }
}

#[test]
fn a_webhook_that_turns_to_the_bot_of_another_stays_with_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bot_id) in [("a", 7), ("b", 8)] {
        write_webhook(dir.path(), name, &WebhookConfig { bot_id, ..raw_config(name) });
    }
    let (policy, _) = load(dir.path());
    write_webhook(dir.path(), "a", &WebhookConfig { bot_id: 8, ..raw_config("a") });
    let (policy, problems) = policy.followed_by(Snapshot::read(dir.path()));
    let bots = |policy: &Policy| policy.webhooks().iter().map(|webhook| webhook.bot_id).collect::<Vec<_>>();
    assert_eq!((bots(&policy), problems.len()), (vec![7, 8], 1), "{problems:?}");
    // unless that one leaves it
    write_webhook(dir.path(), "b", &WebhookConfig { bot_id: 7, ..raw_config("b") });
    let (policy, problems) = policy.followed_by(Snapshot::read(dir.path()));
    assert_eq!((bots(&policy), problems.len()), (vec![8, 7], 0), "{problems:?}");
}

#[test]
fn a_former_version_that_would_take_the_path_of_another_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    write_webhook(dir.path(), "a", &raw_config("a"));
    write_webhook(dir.path(), "b", &raw_config("b"));
    let (policy, _) = load(dir.path());
    // b's path moves to a while b breaks
    let mut moved = raw_config("a");
    moved.slots = raw_config("b").slots;
    write_webhook(dir.path(), "a", &moved);
    fs::write(dir.path().join("b").join(CONFIG_FILE), "{").unwrap();
    let (policy, problems) = policy.followed_by(Snapshot::read(dir.path()));
    assert_eq!(policy.webhooks().len(), 1);
    assert_eq!(problems.len(), 1);
}

/// A valid configuration behind a proxy.
fn proxied(name: &str, proxy: &str) -> WebhookConfig {
    let mut config = raw_config(name);
    config.client_address.source = AddressSource::ProxyProtocol;
    config.client_address.trusted_proxies = vec![proxy.to_owned()];
    config
}

#[test]
fn the_port_moves_to_another_client_address_when_all_its_webhooks_have() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        write_webhook(dir.path(), name, &proxied(name, "10.0.0.0/8"));
    }
    let (policy, problems) = load(dir.path());
    assert_eq!(problems, Vec::<String>::new());
    let former = policy.addresses().client.clone();
    // the one that goes first in every other order is ahead, and so is a newcomer
    for name in ["a", "c"] {
        write_webhook(dir.path(), name, &proxied(name, "172.16.0.0/12"));
    }
    let (policy, problems) = policy.followed_by(Snapshot::read(dir.path()));
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let other = |ahead: &str, of: &str| {
        format!("{ahead}/config.json: clientAddress: the folder {of} has another, and a port has one")
    };
    assert_eq!(problems, [other("a", "b"), other("c", "b"), other("c", "a")]);
    assert_eq!((policy.webhooks().len(), &policy.addresses().client), (2, &former));
    write_webhook(dir.path(), "b", &proxied("b", "172.16.0.0/12"));
    let (policy, problems) = policy.followed_by(Snapshot::read(dir.path()));
    assert_eq!((policy.webhooks().len(), problems.len()), (3, 0), "{problems:?}");
    assert_ne!(policy.addresses().client, former);
}

#[test]
fn every_file_that_is_missing_is_named() {
    for file in [TLS_CERT_FILE, TLS_KEY_FILE] {
        let dir = tempfile::tempdir().unwrap();
        write_webhook(dir.path(), "a", &raw_config("a"));
        fs::remove_file(dir.path().join("a").join(file)).unwrap();
        let (_, problems) = load(dir.path());
        let problems = problems.join("; ");
        assert!(problems.starts_with(&format!("a/{file}: can't be read")), "{problems}");
    }
}

#[test]
fn a_configuration_that_is_there_but_unreadable_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    write_webhook(dir.path(), "a", &raw_config("a"));
    let (policy, _) = load(dir.path());
    let file = dir.path().join("a").join(CONFIG_FILE);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let (policy, problems) = policy.followed_by(Snapshot::read(dir.path()));
    assert_eq!(policy.webhooks().len(), 1, "the old version stays");
    assert!(problems[0].to_string().starts_with("a/config.json: can't be read"), "{problems:?}");
}

#[test]
fn files_that_hold_no_certificate_or_key_are_named() {
    for (file, content) in [
        (TLS_CERT_FILE, ""),
        (TLS_CERT_FILE, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
        (TLS_CERT_FILE, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        (TLS_KEY_FILE, ""),
        (TLS_KEY_FILE, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write_webhook(dir.path(), "a", &raw_config("a"));
        fs::write(dir.path().join("a").join(file), content).unwrap();
        let (_, problems) = load(dir.path());
        let problems = problems.join("; ");
        assert!(problems.starts_with(&format!("a/{file}: ")), "{file} {content:?}: {problems}");
    }
}

#[test]
fn an_encrypted_key_is_told_so() {
    for header in
        ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED"]
    {
        let dir = tempfile::tempdir().unwrap();
        write_webhook(dir.path(), "a", &raw_config("a"));
        fs::write(dir.path().join("a").join(TLS_KEY_FILE), format!("{header}\nAAAA\n")).unwrap();
        let (_, problems) = load(dir.path());
        assert!(problems[0].starts_with("a/tls.key: is encrypted"), "{problems:?}");
    }
}

#[test]
fn a_file_that_is_missing_hides_no_other_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = raw_config("a");
    config.host = "not a host".to_owned();
    write_webhook(dir.path(), "a", &config);
    fs::remove_file(dir.path().join("a").join(TLS_CERT_FILE)).unwrap();
    fs::write(dir.path().join("a").join(TLS_KEY_FILE), "").unwrap();
    let (_, problems) = load(dir.path());
    let expected = ["a/tls.crt: can't be read", "a/tls.key: holds no", "a/config.json: host: must be"];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}: expected {expected}");
    }
}

#[test]
fn debug_output_holds_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    write_webhook(dir.path(), "a", &raw_config("a"));
    let (policy, _) = load(dir.path());
    let slots = &policy.webhooks()[0].slots;
    let shown = format!("{policy:?} {slots:?}");
    assert!(shown.contains("crm/a") && shown.contains("SecretDigest(..)"), "{shown}");
    assert!(!shown.contains("path-a") && !shown.contains("token-a"), "{shown}");
}

#[test]
fn an_upstream_is_named_as_a_request_to_it_names_it() {
    for (port, host) in [(3000, "127.0.0.1:3000"), (80, "127.0.0.1")] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = raw_config("a");
        config.upstream = telegram_webhook_sidecar_config::Upstream { port, path: "/a/b?c=d".to_owned() };
        write_webhook(dir.path(), "a", &config);
        let (policy, _) = load(dir.path());
        let upstream = &policy.webhooks()[0].upstream;
        assert_eq!(
            (&upstream.host, upstream.target.to_string()),
            (&host.parse().unwrap(), "/a/b?c=d".into())
        );
        assert_eq!(upstream.to_string(), format!("http://127.0.0.1:{port}/a/b?c=d"));
    }
}
