use std::{fs, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    crypto::SupportedKxGroup, pki_types::ServerName,
};
use telegram_webhook_sidecar_config::CONFIG_FILE;
use tokio::io::duplex;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::{
    config::Snapshot,
    test_util::{policy, raw_config, write_webhook},
};

fn names_of(policy: &CurrentPolicy, server_name: Option<&str>) -> Option<usize> {
    let policy = policy.load();
    let found = certificate(&policy, server_name)?;
    policy.webhooks().iter().position(|webhook| Arc::ptr_eq(&webhook.certificate, &found))
}

#[test]
fn the_host_chooses_the_certificate_in_any_case() {
    let policy = policy(&[raw_config("a"), raw_config("b")]);
    assert_eq!(names_of(&policy, Some("a.example.com")), Some(0));
    assert_eq!(names_of(&policy, Some("B.Example.COM")), Some(1));
    assert_eq!(names_of(&policy, Some("c.example.com")), None);
}

#[test]
fn without_a_known_name_there_is_a_certificate_only_if_there_is_no_choice() {
    let one = policy(&[raw_config("a")]);
    assert_eq!(names_of(&one, None), Some(0));
    assert_eq!(names_of(&one, Some("former.example.com")), Some(0));
    let two = policy(&[raw_config("a"), raw_config("b")]);
    assert_eq!(names_of(&two, None), None);
    assert_eq!(names_of(&two, Some("former.example.com")), None);
    let mut b = raw_config("b");
    b.host = raw_config("a").host;
    let same_host = policy(&[raw_config("a"), b]);
    assert_eq!(names_of(&same_host, None), Some(0));
}

#[test]
fn a_name_that_no_webhook_has_gets_a_certificate_that_covers_it() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (raw_config("a"), raw_config("b"));
    for (folder, mut config, names) in [("a", a, "a.example.com"), ("b", b, "*.example.org")] {
        config.host = names.to_owned();
        write_webhook(dir.path(), folder, &config);
        // the configuration has changed, the certificate not yet
        config.host = format!("{folder}.new.example.com");
        fs::write(dir.path().join(folder).join(CONFIG_FILE), config.to_bytes()).unwrap();
    }
    let (policy, problems) = Policy::default().followed_by(Snapshot::read(dir.path()));
    assert_eq!(problems.len(), 0, "{problems:?}");
    let policy = Arc::new(ArcSwap::from_pointee(policy));
    for (name, found) in [
        ("a.example.com", Some(0)),
        ("A.Example.COM", Some(0)),
        ("a.new.example.com", Some(0)),
        ("former.example.org", Some(1)),
        ("b.new.example.com", Some(1)),
        ("c.example.com", None),
        ("a.former.example.org", None),
    ] {
        assert_eq!(names_of(&policy, Some(name)), found, "{name}");
    }
}

#[test]
fn a_certificate_of_the_newest_snapshot_goes_before_one_that_was_carried_over() {
    let dir = tempfile::tempdir().unwrap();
    let of_a = raw_config("a");
    let mut of_b = raw_config("b");
    of_b.host.clone_from(&of_a.host);
    write_webhook(dir.path(), "a", &of_a);
    write_webhook(dir.path(), "b", &of_b);
    let (former, _) = Policy::default().followed_by(Snapshot::read(dir.path()));
    for (broken, whole) in [("a", 1), ("b", 0)] {
        let file = dir.path().join(broken).join(CONFIG_FILE);
        let config = fs::read(&file).unwrap();
        fs::write(&file, "{").unwrap();
        let (policy, problems) = former.followed_by(Snapshot::read(dir.path()));
        assert_eq!((policy.webhooks().len(), problems.len()), (2, 1));
        let policy = Arc::new(ArcSwap::from_pointee(policy));
        assert_eq!(names_of(&policy, Some("a.example.com")), Some(whole));
        assert_eq!(names_of(&policy, None), Some(whole));
        fs::write(&file, config).unwrap();
    }
}

#[test]
fn the_policy_is_what_the_documentation_says() {
    let config = server_config(policy(&[raw_config("a")])).unwrap();
    assert_eq!(config.alpn_protocols, [b"http/1.1"]);
    assert!(config.ignore_client_order);
    assert_eq!(config.send_tls13_tickets, 0);
    assert!(!config.ticketer.enabled());
    assert!(!config.session_storage.can_cache());
    assert_eq!(config.max_early_data_size, 0);
}

#[test]
fn suites_and_groups_are_those_that_were_looked_at() {
    // forward secrecy and authenticated encryption only; the hybrid that a quantum computer doesn't break goes first
    let config = server_config(policy(&[raw_config("a")])).unwrap();
    let provider = config.crypto_provider();
    let suites: Vec<_> = provider.cipher_suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
    assert_eq!(
        suites,
        [
            "TLS13_AES_256_GCM_SHA384",
            "TLS13_AES_128_GCM_SHA256",
            "TLS13_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ]
    );
    let groups: Vec<_> = provider.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
    assert_eq!(groups, ["X25519MLKEM768", "X25519", "secp256r1", "secp384r1"]);
}

/// Shakes hands in memory and tells the version and the key exchange.
async fn handshake(
    version: &'static SupportedProtocolVersion,
) -> (Option<ProtocolVersion>, Option<NamedGroup>) {
    let policy = policy(&[raw_config("a")]);
    let mut roots = RootCertStore::empty();
    let leaf = policy.load().webhooks()[0].certificate.cert[0].clone();
    roots.add(leaf).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(policy).unwrap()));
    let connector = TlsConnector::from(Arc::new(client));
    let (ours, theirs) = duplex(16 << 10);
    let name = ServerName::try_from("a.example.com").unwrap();
    let (server, client) = tokio::join!(acceptor.accept(ours), connector.connect(name, theirs));
    client.unwrap();
    let server = server.unwrap();
    let server = server.get_ref().1;
    (server.protocol_version(), server.negotiated_key_exchange_group().map(SupportedKxGroup::name))
}

#[tokio::test]
async fn versions_1_2_and_1_3_are_spoken() {
    let (version, group) = handshake(&TLS12).await;
    assert_eq!((version, group), (Some(ProtocolVersion::TLSv1_2), Some(NamedGroup::X25519)));
    let (version, group) = handshake(&TLS13).await;
    assert_eq!((version, group), (Some(ProtocolVersion::TLSv1_3), Some(NamedGroup::X25519MLKEM768)));
    assert_eq!(rustls::ALL_VERSIONS.len(), 2, "a new version is to be looked at");
}
