//! Queues that all pods share.

use telegram_webhook_sidecar_config::{Backend, Consume, RedisTopology, Secret as SecretText};

use super::{request_path::declaring, *};

fn shared(backend: &str) -> TelegramWebhook {
    declaring(&format!("delivery: {{backend: {{{backend}}}}}"))
}

fn labelled(data: &[(&str, &str)]) -> Secret {
    let data: Vec<_> = data.iter().map(|(key, value)| (*key, value.as_bytes())).collect();
    let mut secret = secret("s", &data);
    let label = ("telegram-webhook.dev/delivery-secret".to_owned(), "true".to_owned());
    secret.metadata.labels = Some([label].into());
    secret
}

fn with(broker: [Option<Secret>; 3]) -> Found {
    Found { broker, ..found() }
}

fn credentials() -> Secret {
    labelled(&[("username", "sidecar"), ("password", "SECRET\n")])
}

fn pems() -> Secret {
    let (chain, key) = certificate("broker", -1..30);
    labelled(&[("ca.crt", &chain), ("tls.crt", &chain), ("tls.key", &key)])
}

#[test]
fn a_redis_is_told_with_what_its_secrets_hold() {
    let text = "redis: {addresses: ['a:26379', '[::1]:26379'], topology: Sentinel, sentinel: {service: main, credentialsSecretRef: {name: s}}, credentialsSecretRef: {name: s}, database: 3, tls: {secretRef: {name: s}, serverName: redis}, maxUpdates: 9, consume: Queue}";
    let only_password = labelled(&[("password", "SENTINELS")]);
    let found = with([Some(credentials()), Some(only_password), Some(pems())]);
    let valid = judge(&shared(text), &found).unwrap().delivery;
    // no room in the pod is needed
    assert_eq!(valid.place, None);
    let Backend::Redis(redis) = valid.delivery.backend else { panic!("not what was declared") };
    let sentinel = RedisTopology::Sentinel {
        service: "main".into(),
        username: None,
        password: Some(SecretText("SENTINELS".into())),
    };
    assert_eq!((redis.topology, redis.database, redis.max_updates), (sentinel, 3, 9));
    assert_eq!(
        (redis.username.as_deref(), redis.password),
        (Some("sidecar"), Some(SecretText("SECRET".into())))
    );
    assert_eq!((redis.key_prefix.as_str(), redis.consume), ("telegram-webhook:", Consume::Queue));
    let tls = redis.tls.unwrap();
    assert!(tls.ca.is_some() && tls.client_certificate.is_some() && tls.server_name.is_some());
}

#[test]
fn what_is_left_out_of_a_broker_is_what_the_sidecar_takes_for_left_out() {
    let backend = |text: &str, found: &Found| judge(&shared(text), found).unwrap().delivery.delivery.backend;
    let redis = backend("redis: {addresses: ['redis:6379']}", &found());
    let read: Backend = serde_json::from_str(r#"{"type":"Redis","addresses":["redis:6379"]}"#).unwrap();
    assert_eq!(redis, read);
    let text = "rabbitMq: {addresses: ['rabbit:5672'], credentialsSecretRef: {name: s}}";
    let rabbit = backend(text, &with([Some(credentials()), None, None]));
    let read = r#"{"type":"RabbitMq","addresses":["rabbit:5672"],"username":"sidecar","password":"SECRET"}"#;
    assert_eq!(rabbit, serde_json::from_str(read).unwrap());
}

#[test]
fn no_retention_is_longer_than_rabbitmq_keeps_dead_letters() {
    let found = with([Some(credentials()), None, None]);
    let backend = "rabbitMq: {addresses: ['rabbit:5672'], credentialsSecretRef: {name: s}}";
    let keeping = |hours: u32| {
        declaring(&format!("delivery: {{deadLetter: {{retention: {hours}h}}, backend: {{{backend}}}}}"))
    };
    assert_eq!(judge(&keeping(1440), &found).unwrap().delivery.delivery.dead_letter_retention_hours, 1440);
    let mistake = mistake(&keeping(1441), &found);
    assert_mistake(
        &mistake,
        Reason::DeliveryInvalid,
        "spec.delivery.deadLetter.retention",
        "use at most 1440h",
    );
}

#[test]
fn what_makes_no_sense_for_a_broker_is_named_with_its_fix() {
    let found = with([Some(credentials()), None, None]);
    for (text, field, fix) in [
        ("embedded: {}, redis: {addresses: ['a:1']}", "", "exactly one"),
        ("redis: {addresses: []}, ", "redis.addresses", "name one"),
        ("redis: {addresses: ['a:1', 'b:1']}", "redis.addresses", "Sentinel or Cluster"),
        ("redis: {addresses: ['redis://a:1']}", "redis.addresses", "without a scheme"),
        ("redis: {addresses: ['a:65536']}", "redis.addresses", "a port"),
        ("redis: {addresses: ['a:1'], topology: Sentinel}", "redis.sentinel", "only with it"),
        ("redis: {addresses: ['a:1'], sentinel: {service: a}}", "redis.sentinel", "only with it"),
        ("redis: {addresses: ['a:1'], topology: Cluster, database: 1}", "redis.database", "database 0"),
        (
            "redis: {addresses: ['a:1'], topology: Cluster, tls: {serverName: a}}",
            "redis.tls.serverName",
            "remove",
        ),
        ("redis: {addresses: ['a:1'], database: 1024}", "redis.database", "from 0 to 1023"),
        ("redis: {addresses: ['a:1'], maxUpdates: 0}", "redis.maxUpdates", "from 1 to"),
        ("rabbitMq: {addresses: [a], credentialsSecretRef: {name: s}}", "rabbitMq.addresses", "a port"),
        (
            "rabbitMq: {addresses: ['a:1'], credentialsSecretRef: {name: s}, partitions: 129}",
            "rabbitMq.partitions",
            "to 128",
        ),
        (
            "rabbitMq: {addresses: ['a:1'], credentialsSecretRef: {name: s}, namePrefix: amq.x}",
            "rabbitMq.namePrefix",
            "another one",
        ),
    ] {
        let Invalid(mistakes) = judge(&shared(text), &found).unwrap_err();
        assert_mistake(
            &mistakes[0],
            Reason::DeliveryInvalid,
            &format!(
                "spec.delivery.backend{}",
                if field.is_empty() { String::new() } else { format!(".{field}") }
            ),
            fix,
        );
    }
    let unknowable = declaring(
        "delivery: {answerAfter: Delivered, backend: {redis: {addresses: ['a:1'], consume: Queue}}}",
    );
    assert_mistake(
        &mistake(&unknowable, &found),
        Reason::DeliveryInvalid,
        "spec.delivery.answerAfter",
        "use Stored",
    );
}

#[test]
fn what_a_brokers_secrets_lack_is_named_and_never_quoted() {
    let (chain, key) = certificate("broker", -1..30);
    let tls = |data: &[(&str, &str)]| [None, None, Some(labelled(data))];
    let own = |data: &[(&str, &str)]| [Some(labelled(data)), None, None];
    let redis = |rest: &str| format!("redis: {{addresses: ['a:1'], {rest}: {{name: s}}}}");
    let encrypted = "redis: {addresses: ['a:1'], tls: {secretRef: {name: s}}}".to_owned();
    let rabbit = "rabbitMq: {addresses: ['a:1'], credentialsSecretRef: {name: s}}".to_owned();
    let credentials = || redis("credentialsSecretRef");
    let unlabelled = [Some(secret("s", &[("password", b"SECRET")])), None, None];
    for (text, broker, reason, fix) in [
        (credentials(), [None, None, None], Reason::DeliverySecretNotFound, "username and password"),
        (credentials(), unlabelled, Reason::DeliverySecretNotLabelled, "delivery-secret=true"),
        (credentials(), own(&[("username", "SECRET")]), Reason::DeliveryKeyNotFound, "no key password"),
        (
            credentials(),
            own(&[("username", "A SECRET"), ("password", "SECRET")]),
            Reason::DeliverySecretMalformed,
            "without spaces",
        ),
        (rabbit, own(&[("password", "SECRET")]), Reason::DeliveryKeyNotFound, "no key username"),
        (encrypted.clone(), tls(&[]), Reason::DeliveryKeyNotFound, "no key ca.crt"),
        (encrypted.clone(), tls(&[("ca.crt", "SECRET")]), Reason::DeliverySecretMalformed, "key ca.crt"),
        (encrypted.clone(), tls(&[("tls.crt", &chain)]), Reason::DeliveryKeyNotFound, "no key tls.key"),
        (encrypted.clone(), tls(&[("tls.key", &key)]), Reason::DeliveryKeyNotFound, "no key tls.crt"),
        (
            encrypted.clone(),
            tls(&[("tls.crt", "SECRET"), ("tls.key", &key)]),
            Reason::DeliverySecretMalformed,
            "key tls.crt",
        ),
        (
            encrypted,
            tls(&[("tls.crt", &chain), ("tls.key", "SECRET")]),
            Reason::DeliverySecretMalformed,
            "key tls.key",
        ),
    ] {
        let mistake = mistake(&shared(&text), &with(broker));
        assert_mistake(&mistake, reason, "spec.delivery.backend.", fix);
        assert!(!mistake.message.contains("SECRET"), "{}", mistake.message);
    }
}
