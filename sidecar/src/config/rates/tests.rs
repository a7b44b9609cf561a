use telegram_webhook_sidecar_config::{Ban, ClientAddress, Rate as RawRate};

use super::*;
use crate::{
    config::{Place, Policy},
    test_util::{policy, raw_config},
};

/// What is wrong with a configuration that was changed: fields and reasons.
fn problems(change: impl FnOnce(&mut WebhookConfig)) -> Vec<String> {
    let mut config = raw_config("a");
    change(&mut config);
    let place = Place::Folder("a".to_owned());
    let mut findings = Findings::new(&place);
    Rates::parse(&config, &mut findings);
    let problems = findings.into_problems();
    problems.iter().map(|problem| problem.to_string().replace("a/config.json: ", "")).collect()
}

fn raw_rate(requests: u32, window_seconds: u64) -> RawRate {
    RawRate { requests, window_seconds }
}

#[test]
fn what_is_usual_and_what_is_just_within_the_bounds_is_right() {
    assert_eq!(problems(|_| {}), Vec::<String>::new());
    for (rate, ban) in [
        (raw_rate(1, 1), Ban { failures: 1, window_seconds: 1, duration_seconds: 1 }),
        (
            raw_rate(1_000_000, 3600),
            Ban { failures: 100_000, window_seconds: 86_400, duration_seconds: 2_592_000 },
        ),
    ] {
        let problems = problems(|config| {
            config.limits.unauthenticated = rate;
            config.limits.authenticated = rate;
            config.limits.ban = Some(ban);
        });
        assert_eq!(problems, Vec::<String>::new());
    }
    assert_eq!(problems(|config| config.limits.ban = None), Vec::<String>::new());
}

#[test]
fn what_is_out_of_bounds_is_named_with_its_bounds() {
    for (rate, field, bounds) in [
        (raw_rate(0, 1), "requests", "1 to 1000000"),
        (raw_rate(1_000_001, 1), "requests", "1 to 1000000"),
        (raw_rate(1, 0), "windowSeconds", "1 to 3600"),
        (raw_rate(1, 3601), "windowSeconds", "1 to 3600"),
        (raw_rate(1, u64::MAX), "windowSeconds", "1 to 3600"),
    ] {
        let found = problems(|config| config.limits.unauthenticated = rate);
        assert_eq!(found, [format!("limits.unauthenticated.{field}: must be {bounds}")]);
        let found = problems(|config| config.limits.authenticated = rate);
        assert_eq!(found, [format!("limits.authenticated.{field}: must be {bounds}")]);
    }
    let ban = Ban { failures: 20, window_seconds: 60, duration_seconds: 3600 };
    for (ban, problem) in [
        (Ban { failures: 0, ..ban }, "failures: must be 1 to 100000"),
        (Ban { failures: 100_001, ..ban }, "failures: must be 1 to 100000"),
        (Ban { window_seconds: 0, ..ban }, "windowSeconds: must be 1 to 86400"),
        (Ban { window_seconds: 86_401, ..ban }, "windowSeconds: must be 1 to 86400"),
        (Ban { duration_seconds: 0, ..ban }, "durationSeconds: must be 1 to 2592000"),
        (Ban { duration_seconds: 2_592_001, ..ban }, "durationSeconds: must be 1 to 2592000"),
    ] {
        let found = problems(|config| config.limits.ban = Some(ban));
        assert_eq!(found, [format!("limits.ban.{problem}")]);
    }
}

#[test]
fn what_must_never_be_banned_is_not_banned_for_ever() {
    for (network, overlapped) in [
        ("149.154.160.0/24", "what Telegram documents as its own"),
        ("91.0.0.0/8", "what Telegram documents as its own"),
        ("127.0.0.1/32", "sourceAddress.ranges"),
        ("10.9.0.0/16", "clientAddress.trustedProxies"),
    ] {
        let found = problems(|config| {
            config.client_address =
                ClientAddress { trusted_proxies: vec!["10.0.0.0/8".to_owned()], ..ClientAddress::default() };
            config.limits.banned = vec!["203.0.113.0/24".to_owned(), network.to_owned()];
        });
        assert_eq!(found, [format!("limits.banned: {network} overlaps {overlapped}: leave it out")]);
    }
    let found = problems(|config| config.limits.banned = vec!["203.0.113.1/24".to_owned()]);
    assert_eq!(found, ["limits.banned[0]: must be written 203.0.113.0/24"]);
}

#[test]
fn of_several_webhooks_the_most_generous_rules_hold_and_every_network_is_banned() {
    let rules = |webhooks: &[(RawRate, Option<Ban>, &str)]| {
        let configs = webhooks.iter().enumerate().map(|(index, (rate, ban, banned))| {
            let mut config = raw_config(&format!("w{index}"));
            config.limits.unauthenticated = *rate;
            config.limits.ban = *ban;
            config.limits.banned = vec![(*banned).to_owned()];
            config
        });
        policy(&configs.collect::<Vec<_>>()).load().stranger_rules().clone()
    };
    let ban =
        |failures, window_seconds, duration_seconds| Some(Ban { failures, window_seconds, duration_seconds });
    let merged = rules(&[
        (raw_rate(10, 60), ban(20, 60, 10), "203.0.113.0/24"),
        (raw_rate(5, 1), ban(30, 90, 5), "198.51.100.0/24"),
    ]);
    assert_eq!(merged.rate, Rate { requests: 10, window_seconds: 1 });
    let expected = BanRule { failures: 30, window_seconds: 60, duration: Duration::from_secs(5) };
    assert_eq!(merged.ban, Some(expected));
    for banned in ["203.0.113.7", "198.51.100.7"] {
        assert!(merged.banned.contains(banned.parse().unwrap()));
    }
    let merged = rules(&[(raw_rate(1, 1), None, "203.0.113.0/24"), (raw_rate(1, 1), ban(1, 1, 1), "::/0")]);
    assert_eq!(merged.ban, None);
}

#[test]
fn without_any_webhook_strangers_are_limited_and_not_banned() {
    let rules = Policy::default().stranger_rules().clone();
    assert_eq!((rules.rate, rules.ban), (Rate { requests: 10, window_seconds: 1 }, None));
}
