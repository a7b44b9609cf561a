use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource as _, ResourceExt as _};
use telegram_webhook_crds::RegistrationStatus;
use telegram_webhook_sidecar_config::{
    AnswerAfter, ClientAddress, Filter, Hmac, HmacEncoding, Limits, Secret as SecretText, SourceAddress,
    Upstream,
};

use super::*;
use crate::{
    fixtures,
    reconcile::{stored::Stored, validate::ValidDelivery},
    telegram::{Bot, BotToken},
};

mod fallback;
mod signing;

fn valid() -> ValidatedWebhook {
    ValidatedWebhook {
        name: "support".into(),
        namespace: "crm".into(),
        owner: fixtures::webhook().controller_owner_ref(&()).unwrap(),
        bot: Bot {
            server: "https://api.telegram.org".into(),
            token: BotToken::parse(fixtures::TOKEN).unwrap(),
        },
        selector: BTreeMap::from([("app".into(), "helpdesk".into())]),
        upstream: Upstream { port: 3000, path: "/webhooks/telegram".into() },
        host: "hooks.example.com".into(),
        port: 443,
        ip_address: None,
        max_connections: 40,
        path_prefix: "/telegram".into(),
        client_address: ClientAddress::default(),
        source_address: SourceAddress::default(),
        hmac: None,
        limits: Limits::default(),
        filter: Filter::default(),
        delivery: ValidDelivery { signing_key: Some(key("whsec_A")), ..ValidDelivery::default() },
        fallback: None,
        tls_secret: "hooks-tls".into(),
        certificate: Some("sha256:certificate".into()),
        stored: None,
        registered: None,
        obstacles: vec![],
    }
}

fn key(text: &str) -> SecretText {
    SecretText(text.into())
}

fn with_accepted(mut secret: Secret, accepted: &Accepted) -> Secret {
    put(&mut secret, ACCEPTED_FILE, accepted);
    secret
}

fn built(webhook: &ValidatedWebhook) -> Prepared {
    build(webhook, Material::draw().unwrap(), Timestamp::UNIX_EPOCH)
}

/// As the next pass sees it.
fn stored(prepared: &Prepared) -> Stored {
    Stored::read(&prepared.secret).unwrap()
}

#[test]
fn the_secret_holds_what_the_sidecar_reads_and_its_digest_names_it() {
    let prepared = built(&valid());
    assert_eq!(prepared.secret.name_any(), "support-telegram-webhook");
    let bytes = &prepared.secret.data.as_ref().unwrap()["config.json"].0;
    let config = WebhookConfig::parse(bytes).unwrap();
    assert_eq!(config.webhook, "crm/support");
    assert_eq!((config.bot_id, config.host.as_str()), (123_456, "hooks.example.com"));
    assert_eq!(config.slots.len(), 1);
    assert_eq!(prepared.expected.digest, digest(bytes));
}

#[test]
fn the_sidecar_is_told_all_that_was_declared_of_its_request_path() {
    let filter = Filter { update_types: vec![], topics: vec![1], ..Filter::default() };
    let hmac = Hmac::Body {
        header: "X-Signature".into(),
        encoding: HmacEncoding::Hex,
        secret: "a key that nobody guesses".into(),
    };
    let webhook = ValidatedWebhook {
        client_address: ClientAddress {
            trusted_proxies: vec!["10.0.0.0/8".into()],
            ..ClientAddress::default()
        },
        source_address: SourceAddress { ranges: vec!["192.0.2.0/24".into()], ..SourceAddress::default() },
        hmac: Some(hmac),
        limits: Limits { max_body_bytes: 7, ..Limits::default() },
        filter,
        ..valid()
    };
    let prepared = built(&webhook);
    let config = stored(&prepared).config;
    assert_eq!(
        (config.client_address, config.source_address),
        (webhook.client_address, webhook.source_address)
    );
    assert_eq!((config.hmac, config.limits, config.filter), (webhook.hmac, webhook.limits, webhook.filter));
    // any kind that Telegram sends by default
    assert!(prepared.wanted.parameters.allowed_updates.is_empty());
}

#[test]
fn another_filter_is_told_to_telegram_under_the_same_slot() {
    let first = built(&valid());
    let accepted = with_accepted(first.secret.clone(), &first.wanted);
    let filter = Filter { update_types: vec!["message".into(), "poll".into()], ..Filter::default() };
    let stored_before = Some(Stored::read(&accepted).unwrap());
    let second = built(&ValidatedWebhook { stored: stored_before, filter, ..valid() });
    assert_eq!(stored(&second).config.slots, stored(&first).config.slots);
    assert_eq!(second.wanted.parameters.allowed_updates, ["message", "poll"]);
    assert_eq!((&second.wanted.parameters.url, second.wanted.slot), (&first.wanted.parameters.url, 1));
    // a sidecar with the former filter doesn't have it yet
    assert!(second.expected.digest != first.expected.digest && second.expected.superseded.is_none());
}

#[test]
fn the_service_leads_to_injected_pods_by_the_sidecars_port_name() {
    let spec = built(&valid()).service.spec.unwrap();
    let selector = spec.selector.unwrap();
    assert_eq!(selector["app"], "helpdesk");
    assert_eq!(selector["telegram-webhook.dev/inject"], "true");
    let port = &spec.ports.unwrap()[0];
    assert_eq!(port.port, 443);
    assert_eq!(port.target_port, Some(IntOrString::String("tg-webhook".into())));
}

#[test]
fn children_carry_our_labels_and_belong_to_the_resource() {
    let prepared = built(&valid());
    for metadata in [&prepared.secret.metadata, &prepared.service.metadata] {
        let labels = metadata.labels.as_ref().unwrap();
        assert_eq!(labels["app.kubernetes.io/managed-by"], "telegram-webhook-operator");
        assert_eq!(labels["telegram-webhook.dev/webhook"], "support");
        assert_eq!(labels.len(), 3);
        assert_eq!(metadata.owner_references.as_ref().unwrap()[0].name, "support");
    }
}

#[test]
fn telegram_is_told_the_complete_set() {
    let wanted = built(&valid()).wanted;
    let parameters = &wanted.parameters;
    assert!(parameters.url.starts_with("https://hooks.example.com/telegram/"));
    assert_eq!(parameters.secret_token.len(), 43);
    assert_eq!((parameters.max_connections, parameters.ip_address.as_ref()), (40, None));
    assert_eq!(parameters.allowed_updates, ["message", "edited_message", "callback_query"]);
    assert_eq!((wanted.slot, wanted.bot_id), (1, 123_456));
    let other_port = built(&ValidatedWebhook { port: 8443, ..valid() }).wanted;
    assert!(other_port.parameters.url.starts_with("https://hooks.example.com:8443/telegram/"));
}

#[test]
fn building_again_from_what_was_stored_changes_nothing() {
    let first = built(&valid());
    let accepted = with_accepted(first.secret.clone(), &first.wanted);
    let again = built(&ValidatedWebhook { stored: Some(Stored::read(&accepted).unwrap()), ..valid() });
    assert_eq!(again.secret, accepted);
    assert_eq!((again.expected, again.wanted), (first.expected, first.wanted));
}

#[test]
fn what_telegram_accepted_survives_a_change_of_the_path() {
    let first = built(&valid());
    let accepted = with_accepted(first.secret.clone(), &first.wanted);
    let moved = built(&ValidatedWebhook {
        stored: Some(Stored::read(&accepted).unwrap()),
        path_prefix: "/hooks".into(),
        ..valid()
    });
    let now = stored(&moved);
    assert_eq!(now.config.slots.iter().map(|slot| slot.id).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(now.accepted, Some(first.wanted));
    assert_eq!(moved.wanted.slot, 2);
}

#[test]
fn another_bot_or_server_is_never_told_what_the_former_was_told() {
    let first = built(&valid());
    let accepted = with_accepted(first.secret.clone(), &first.wanted);
    let other_bot =
        Bot { token: BotToken::parse(&fixtures::TOKEN.replace("123456", "654321")).unwrap(), ..valid().bot };
    let other_server = Bot { server: "http://telegram-bot-api.telegram:8081".into(), ..valid().bot };
    for bot in [other_bot, other_server] {
        let stored_before = Stored::read(&accepted).unwrap();
        let moved = built(&ValidatedWebhook { stored: Some(stored_before), bot: bot.clone(), ..valid() });
        let now = stored(&moved);
        assert_eq!(now.config.slots.iter().map(|slot| slot.id).collect::<Vec<_>>(), [2]);
        assert!(moved.wanted.parameters.secret_token != first.wanted.parameters.secret_token);
        assert!(moved.wanted.parameters.url != first.wanted.parameters.url);
        assert_eq!((now.accepted, moved.wanted.slot), (None, 2));
        // once is enough
        let again = built(&ValidatedWebhook { stored: Some(stored(&moved)), bot, ..valid() });
        assert_eq!(again.secret, moved.secret);
    }
}

#[test]
fn a_new_token_of_the_same_bot_changes_nothing() {
    let first = built(&valid());
    let accepted = with_accepted(first.secret.clone(), &first.wanted);
    let token = BotToken::parse(&fixtures::TOKEN.replace("ABC", "XYZ")).unwrap();
    let renewed = built(&ValidatedWebhook {
        stored: Some(Stored::read(&accepted).unwrap()),
        bot: Bot { token, ..valid().bot },
        ..valid()
    });
    assert_eq!(renewed.secret, accepted);
}

fn registered(slot: i64) -> RegistrationStatus {
    RegistrationStatus {
        bot_id: 123_456,
        bot_username: None,
        host: "hooks.example.com".into(),
        url_digest: None,
        slot,
        registered_at: Time(Timestamp::UNIX_EPOCH),
    }
}

#[test]
fn the_secret_knows_better_than_the_status_what_telegram_was_told() {
    let at = |path_prefix: &str, before: Option<&Secret>| {
        built(&ValidatedWebhook {
            stored: before.map(|secret| Stored::read(secret).unwrap()),
            // the status of slot 2 was lost
            registered: Some(registered(1)),
            path_prefix: path_prefix.into(),
            ..valid()
        })
    };
    let first = built(&valid());
    let second = at("/hooks", Some(&with_accepted(first.secret, &first.wanted)));
    let third = at("/other", Some(&with_accepted(second.secret, &second.wanted)));
    assert_eq!(stored(&third).config.slots.iter().map(|slot| slot.id).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn a_lost_secret_is_minted_anew_under_the_next_number() {
    let prepared = built(&ValidatedWebhook { registered: Some(registered(3)), ..valid() });
    assert_eq!(prepared.wanted.slot, 4);
}

#[test]
fn a_former_slot_is_served_for_a_while_after_telegram_was_told_the_new_one() {
    let first = built(&valid());
    let first = with_accepted(first.secret, &first.wanted);
    let moving = |secret: &Secret, registered_slot| ValidatedWebhook {
        stored: Some(Stored::read(secret).unwrap()),
        registered: Some(registered(registered_slot)),
        path_prefix: "/hooks".into(),
        ..valid()
    };
    let second = built(&moving(&first, 1));
    let told = with_accepted(second.secret, &second.wanted);
    let slots = |registered_slot, since: Duration| {
        let now = Timestamp::UNIX_EPOCH + since;
        let prepared = build(&moving(&told, registered_slot), Material::draw().unwrap(), now);
        stored(&prepared).config.slots.iter().map(|slot| slot.id).collect::<Vec<_>>()
    };
    assert_eq!(slots(2, OVERLAP.saturating_sub(Duration::from_secs(1))), [2, 1]);
    assert_eq!(slots(2, OVERLAP), [2]);
    // what has loaded both has all of it, until something else is declared
    let drop = build(&moving(&told, 2), Material::draw().unwrap(), Timestamp::UNIX_EPOCH + OVERLAP);
    assert_eq!(drop.expected.superseded, Some(second.expected.digest));
    let after = built(&moving(&drop.secret, 2));
    assert_eq!((&after.secret, after.expected.superseded), (&drop.secret, drop.expected.superseded));
    let host = "other.example.com".into();
    let other = built(&ValidatedWebhook { host, ..moving(&drop.secret, 2) });
    assert_eq!((stored(&other).superseded, other.expected.superseded), (None, None));
    // it lacks what changes in the same breath
    let both = ValidatedWebhook { host: "other.example.com".into(), ..moving(&told, 2) };
    let both = build(&both, Material::draw().unwrap(), Timestamp::UNIX_EPOCH + OVERLAP);
    assert_eq!((stored(&both).config.slots.len(), both.expected.superseded), (1, None));
    // the time of the former registration doesn't count
    assert_eq!(slots(1, OVERLAP), [2, 1]);
}

#[test]
fn the_sidecar_is_told_how_to_deliver() {
    let delivery = Delivery { answer_after: AnswerAfter::Delivered, max_attempts: 7, ..Delivery::default() };
    let webhook = ValidatedWebhook {
        delivery: ValidDelivery { delivery: delivery.clone(), ..valid().delivery },
        ..valid()
    };
    let config = stored(&built(&webhook)).config;
    assert_eq!(config.delivery, Delivery { signing_keys: vec![key("whsec_A")], ..delivery });
}
