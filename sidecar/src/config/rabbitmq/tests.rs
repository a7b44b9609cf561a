use telegram_webhook_sidecar_config::ClientCertificate;

use super::*;

fn plain() -> raw::RabbitMq {
    raw::RabbitMq {
        addresses: vec!["rabbitmq.crm.svc:5672".to_owned(), "[2001:db8::1]:5672".to_owned()],
        virtual_host: "/".to_owned(),
        username: "sidecar".to_owned(),
        password: Secret("hush-hush".to_owned()),
        tls: None,
        name_prefix: "telegram-webhook".to_owned(),
        partitions: 16,
        max_updates: 1_000,
        consume: Consume::Sidecar,
    }
}

fn fields(rabbitmq: &raw::RabbitMq) -> Vec<String> {
    let mistakes = RabbitMqSettings::new(rabbitmq).err().unwrap_or_default();
    mistakes.into_iter().map(|RabbitMqMistake { field, .. }| field).collect()
}

#[test]
fn addresses_are_read_as_they_are_written() {
    let settings = RabbitMqSettings::new(&plain()).unwrap();
    let shown: Vec<_> = settings.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(shown, plain().addresses);
}

#[test]
fn each_field_is_checked_and_named() {
    type Change = fn(&mut raw::RabbitMq);
    let cases: [(&str, Change); 14] = [
        ("addresses", |r| r.addresses.clear()),
        ("addresses[0]", |r| r.addresses[0] = "rabbitmq".to_owned()),
        ("addresses[0]", |r| r.addresses[0] = "rabbitmq:0".to_owned()),
        ("addresses[1]", |r| r.addresses[1] = "amqp://rabbitmq:5672".to_owned()),
        ("virtualHost", |r| r.virtual_host.clear()),
        ("virtualHost", |r| r.virtual_host = "v".repeat(256)),
        ("username", |r| r.username = "a b".to_owned()),
        ("password", |r| r.password = Secret(String::new())),
        ("password", |r| r.password = Secret("hush-hush\n".to_owned())),
        ("namePrefix", |r| r.name_prefix.clear()),
        ("namePrefix", |r| r.name_prefix = "amq.updates".to_owned()),
        ("partitions", |r| r.partitions = 0),
        ("partitions", |r| r.partitions = 129),
        ("maxUpdates", |r| r.max_updates = 0),
    ];
    for (field, change) in cases {
        let mut rabbitmq = plain();
        change(&mut rabbitmq);
        assert_eq!(fields(&rabbitmq), [field]);
    }
}

#[test]
fn what_encrypts_is_checked_and_named() {
    let authority = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let ((chain, key), (_, other_key)) = (authority(), authority());
    let tls = |change: &dyn Fn(&mut raw::BrokerTls)| {
        let client = ClientCertificate { chain: chain.clone(), key: Secret(key.clone()) };
        let mut tls = raw::BrokerTls {
            ca: Some(chain.clone()),
            server_name: Some("rabbitmq.example.com".to_owned()),
            client_certificate: Some(client),
        };
        change(&mut tls);
        fields(&raw::RabbitMq { tls: Some(tls), ..plain() })
    };
    let client = |chain: &str, key: &str| {
        Some(ClientCertificate { chain: chain.to_owned(), key: Secret(key.to_owned()) })
    };
    assert_eq!(tls(&|_| {}), Vec::<String>::new());
    assert_eq!(tls(&|tls| tls.ca = Some("no PEM".to_owned())), ["tls.ca"]);
    assert_eq!(tls(&|tls| tls.server_name = Some("a b".to_owned())), ["tls.serverName"]);
    assert_eq!(tls(&|tls| tls.client_certificate = client(&chain, "")), ["tls.clientCertificate.key"]);
    assert_eq!(
        tls(&|tls| tls.client_certificate = client(&chain, &other_key)),
        ["tls.clientCertificate.key"]
    );
    assert_eq!(tls(&|tls| tls.client_certificate = client("", &key)), ["tls.clientCertificate.chain"]);
}

#[test]
fn no_mistake_and_no_setting_shows_the_password() {
    let mut rabbitmq = plain();
    rabbitmq.addresses[0] = "amqp://sidecar:hush-hush@rabbitmq:5672".to_owned();
    rabbitmq.password = Secret("hush-hush\n".to_owned());
    let shown = format!("{:?} {:?}", RabbitMqSettings::new(&rabbitmq), RabbitMqSettings::new(&plain()));
    assert!(!shown.contains("hush-hush"), "{shown}");
}
