use telegram_webhook_sidecar_config::ClientCertificate;

use super::*;

fn standalone() -> raw::Redis {
    raw::Redis {
        addresses: vec!["redis.crm.svc:6379".to_owned()],
        topology: RedisTopology::Standalone,
        username: Some("sidecar".to_owned()),
        password: Some(Secret("hush-hush".to_owned())),
        database: 0,
        tls: None,
        key_prefix: "telegram-webhook:".to_owned(),
        max_updates: 1_000,
        consume: Consume::Sidecar,
    }
}

fn sentinel() -> RedisTopology {
    RedisTopology::Sentinel { service: "main".to_owned(), username: None, password: None }
}

fn fields(redis: &raw::Redis) -> Vec<String> {
    let mistakes = RedisSettings::new(redis).err().unwrap_or_default();
    mistakes.into_iter().map(|RedisMistake { field, .. }| field).collect()
}

fn authority() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn each_topology_is_valid_with_what_it_needs() {
    assert_eq!(fields(&standalone()), Vec::<String>::new());
    let addresses = ["redis-0:26379".to_owned(), "[2001:db8::1]:26379".to_owned()].to_vec();
    for topology in [sentinel(), RedisTopology::Cluster] {
        let redis = raw::Redis { addresses: addresses.clone(), topology, ..standalone() };
        let settings = RedisSettings::new(&redis).unwrap();
        let shown: Vec<_> = settings.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, addresses);
    }
}

#[test]
fn each_field_is_checked_and_named() {
    type Change = fn(&mut raw::Redis);
    let cases: [(&str, Change); 18] = [
        ("addresses", |r| r.addresses.clear()),
        ("addresses", |r| r.addresses.push("redis:6380".to_owned())),
        ("addresses[0]", |r| r.addresses[0] = "redis".to_owned()),
        ("addresses[0]", |r| r.addresses[0] = "redis:0".to_owned()),
        ("addresses[0]", |r| r.addresses[0] = "redis://redis:6379".to_owned()),
        ("addresses[0]", |r| r.addresses[0] = "2001:db8::1:6379".to_owned()),
        ("username", |r| r.username = Some("a b".to_owned())),
        ("password", |r| r.password = None),
        ("password", |r| r.password = Some(Secret(String::new()))),
        ("password", |r| r.password = Some(Secret("hush-hush\n".to_owned()))),
        ("database", |r| r.database = 1024),
        ("keyPrefix", |r| r.key_prefix = "{a}".to_owned()),
        ("keyPrefix", |r| r.key_prefix = "a".repeat(65)),
        ("maxUpdates", |r| r.max_updates = 0),
        ("maxUpdates", |r| r.max_updates = 1_000_001),
        ("database", |r| {
            r.topology = RedisTopology::Cluster;
            r.database = 1;
        }),
        ("topology.service", |r| {
            r.topology = RedisTopology::Sentinel { service: String::new(), username: None, password: None };
        }),
        ("topology.password", |r| {
            let username = Some("sidecar".to_owned());
            r.topology = RedisTopology::Sentinel { service: "main".to_owned(), username, password: None };
        }),
    ];
    for (field, change) in cases {
        let mut redis = standalone();
        change(&mut redis);
        assert_eq!(fields(&redis), [field]);
    }
}

#[test]
fn what_encrypts_is_checked_and_named() {
    let (chain, key) = authority();
    let (_, other_key) = authority();
    let tls = |change: &dyn Fn(&mut raw::BrokerTls)| {
        let mut tls = raw::BrokerTls {
            ca: Some(chain.clone()),
            server_name: Some("redis.example.com".to_owned()),
            client_certificate: Some(ClientCertificate { chain: chain.clone(), key: Secret(key.clone()) }),
        };
        change(&mut tls);
        fields(&raw::Redis { tls: Some(tls), ..standalone() })
    };
    let client = |key: &str| Some(ClientCertificate { chain: chain.clone(), key: Secret(key.to_owned()) });
    assert_eq!(tls(&|_| {}), Vec::<String>::new());
    assert_eq!(tls(&|tls| tls.ca = Some("no PEM".to_owned())), ["tls.ca"]);
    assert_eq!(tls(&|tls| tls.server_name = Some("a b".to_owned())), ["tls.serverName"]);
    assert_eq!(tls(&|tls| tls.client_certificate = client("")), ["tls.clientCertificate.key"]);
    assert_eq!(tls(&|tls| tls.client_certificate = client(&other_key)), ["tls.clientCertificate.key"]);
    let nothing = ClientCertificate { chain: String::new(), key: Secret(String::new()) };
    let all = tls(&|tls| {
        tls.ca = Some(String::new());
        tls.client_certificate = Some(nothing.clone());
    });
    assert_eq!(all, ["tls.ca", "tls.clientCertificate.chain", "tls.clientCertificate.key"]);
    let named = raw::BrokerTls { server_name: Some("redis".to_owned()), ..raw::BrokerTls::default() };
    let cluster = raw::Redis { topology: RedisTopology::Cluster, tls: Some(named), ..standalone() };
    assert!(fields(&cluster).contains(&"tls.serverName".to_owned()));
}

#[test]
fn every_mistake_is_named_at_once_and_none_shows_a_password() {
    let mut redis = standalone();
    redis.addresses[0] = "redis://:hush-hush@redis:6379".to_owned();
    redis.password = Some(Secret("hush-hush\n".to_owned()));
    redis.key_prefix = "{hush-hush}".to_owned();
    let mistakes = RedisSettings::new(&redis).unwrap_err();
    assert_eq!(fields(&redis), ["addresses[0]", "password", "keyPrefix"]);
    let shown = format!("{mistakes:?} {:?}", RedisSettings::new(&standalone()));
    assert!(!shown.contains("hush-hush"), "{shown}");
}
