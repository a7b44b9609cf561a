use telegram_webhook_sidecar_config::{DeliveryMode as RawMode, Secret};

use super::*;
use crate::config::Place;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn parse(change: impl FnOnce(&mut raw::Delivery)) -> (Delivery, Vec<String>) {
    let mut delivery = raw::Delivery::default();
    change(&mut delivery);
    let place = Place::Folder("a".to_owned());
    let mut findings = Findings::new(&place);
    let parsed = Delivery::parse(&delivery, &mut findings);
    let problems = findings.into_problems();
    (parsed, problems.iter().map(ToString::to_string).collect())
}

/// The fields that are wrong.
fn fields(change: impl FnOnce(&mut raw::Delivery)) -> Vec<String> {
    let (_, problems) = parse(change);
    let field = |problem: &String| problem.split(": ").nth(1).unwrap_or_default().to_owned();
    problems.iter().map(field).collect()
}

fn methods(names: &[&str]) -> impl FnOnce(&mut raw::Delivery) {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    |delivery| {
        delivery.mode = RawMode::Synchronous;
        delivery.reply_methods = names;
    }
}

#[test]
fn every_mistake_is_named_at_once() {
    let found = fields(|delivery| {
        delivery.reply_methods = vec!["sendMessage".to_owned()];
        delivery.max_attempts = 0;
        delivery.concurrency = 0;
        delivery.signing_keys =
            vec![Secret("short".to_owned()), Secret(KEY.to_owned()), Secret(KEY.to_owned())];
        delivery.secret_token = Some(Secret("a b".to_owned()));
        delivery.dead_letter_retention_hours = 0;
    });
    assert_eq!(
        found,
        [
            "delivery.deadLetterRetentionHours",
            "delivery.replyMethods",
            "delivery.maxAttempts",
            "delivery.concurrency",
            "delivery.signingKeys",
            "delivery.signingKeys[0]",
            "delivery.secretToken",
        ]
    );
}

#[test]
fn each_number_has_its_bounds() {
    type Change = fn(&mut raw::Delivery, u32);
    let cases: [(&str, Change, u32); 3] = [
        ("delivery.maxAttempts", |delivery, number| delivery.max_attempts = number, 100),
        ("delivery.concurrency", |delivery, number| delivery.concurrency = number as usize, 256),
        (
            "delivery.deadLetterRetentionHours",
            |delivery, number| delivery.dead_letter_retention_hours = number.into(),
            8760,
        ),
    ];
    for (field, change, most) in cases {
        for (number, wrong) in [(0, true), (1, false), (most, false), (most + 1, true)] {
            let expected = if wrong { vec![field] } else { vec![] };
            assert_eq!(fields(|delivery| change(delivery, number)), expected, "{field} {number}");
        }
    }
}

#[test]
fn no_retention_is_longer_than_a_queue_keeps_dead_letters() {
    let rabbitmq = || {
        let text =
            r#"{"type": "RabbitMq", "addresses": ["rabbitmq.test:5672"], "username": "a", "password": "b"}"#;
        serde_json::from_str(text).unwrap()
    };
    let redis = r#"{"type": "Redis", "addresses": ["redis.test:6379"]}"#;
    let with = |backend: raw::Backend, hours: u64| {
        fields(|delivery| {
            delivery.backend = backend;
            delivery.dead_letter_retention_hours = hours;
        })
    };
    assert_eq!(with(rabbitmq(), 1440), [""; 0]);
    assert_eq!(with(rabbitmq(), 1441), ["delivery.deadLetterRetentionHours"]);
    assert_eq!(with(rabbitmq(), 8761), ["delivery.deadLetterRetentionHours"], "once");
    assert_eq!(with(rabbitmq(), 0), ["delivery.deadLetterRetentionHours"]);
    assert_eq!(with(serde_json::from_str(redis).unwrap(), 8760), [""; 0]);
}

#[test]
fn tokens_are_those_that_telegram_takes() {
    let with = |token: &str| fields(|delivery| delivery.secret_token = Some(Secret(token.to_owned())));
    for token in ["a", "A_z-9", &"a".repeat(256)] {
        assert!(with(token).is_empty(), "{token}");
    }
    for token in ["", "a b", "ä", "a\n", &"a".repeat(257)] {
        assert_eq!(with(token), ["delivery.secretToken"], "{token:?}");
    }
}

#[test]
fn methods_that_telegram_ignores_or_has_not_are_mistakes() {
    for name in [
        "",
        "send_message",
        "sendMessage2",
        "sénd",
        "setWebhook",
        "DELETEWEBHOOK",
        "close",
        "logOut",
        "getMe",
        "GETx",
    ] {
        assert_eq!(fields(methods(&["sendMessage", name])), ["delivery.replyMethods[1]"], "{name:?}");
    }
    assert!(fields(methods(&["sendMessage", "closeForumTopic", "forgetMe"])).is_empty());
}

#[test]
fn methods_are_told_apart_as_telegram_does() {
    let (delivery, _) = parse(methods(&["sendMessage"]));
    let DeliveryMode::Synchronous { reply_methods } = delivery.mode else { panic!("{:?}", delivery.mode) };
    assert!(reply_methods.allow("SENDmessage"));
    assert!(!reply_methods.allow("sendMessag") && !reply_methods.allow("sendMessage "));
}

#[test]
fn what_the_other_mode_is_for_is_a_mistake() {
    let found = fields(|delivery| {
        delivery.mode = RawMode::Synchronous;
        delivery.answer_after = AnswerAfter::Delivered;
    });
    assert_eq!(found, ["delivery.answerAfter"]);
}

#[test]
fn neither_problems_nor_debug_output_hold_a_secret() {
    let (delivery, problems) = parse(|delivery| {
        delivery.secret_token = Some(Secret("aSecretToken".to_owned()));
        delivery.signing_keys = vec![Secret(KEY.to_owned()), Secret("aSecretKey".to_owned())];
    });
    let shown = format!("{delivery:?} {problems:?}");
    assert!(!shown.contains("aSecret") && !shown.contains("MfKQ"), "{shown}");
    assert_eq!((delivery.signing_keys.len(), problems.len()), (1, 1));
}
