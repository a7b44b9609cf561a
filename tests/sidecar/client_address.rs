//! Whose request it is: the address rules, and proxies in front that are believed only where they are trusted.

use std::time::Duration;

use telegram_webhook_sidecar_config::{
    AddressMode, AddressRefusal, AddressSource, LoadedConfig, SourceVisible,
};
use telegram_webhook_tests::wait;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    client::{Answer, Connection},
    fixture::{Fixture, HOST, PATH, TOKEN, TOKEN_HEADER, UPDATE, request},
};

const TELEGRAM: &str = "149.154.167.200";
const STRANGER: &str = "203.0.113.9";

/// A sidecar that takes Telegram's addresses only, and learns them from the tests as its proxy.
async fn fixture(source: AddressSource) -> anyhow::Result<Fixture> {
    Fixture::start_with(|config| {
        config.source_address.ranges = vec!["149.154.160.0/20".to_owned(), "2001:db8::/64".to_owned()];
        config.client_address.source = source;
        if source != AddressSource::Peer {
            config.client_address.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
        }
    })
    .await
}

fn v1(client: &str) -> Vec<u8> {
    let (family, server) = if client.contains(':') { ("TCP6", "::1") } else { ("TCP4", "127.0.0.1") };
    format!("PROXY {family} {client} {server} 40000 443\r\n").into_bytes()
}

/// The same of version 2, with an attribute behind the addresses.
fn v2(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13".to_vec();
    header.extend(client);
    header.extend([127, 0, 0, 1, 0x9c, 0x40, 1, 0xbb]);
    header.extend(b"\x04\0\x04\0\0\0\0");
    header
}

async fn connect_as(fixture: &Fixture, header: &[u8]) -> anyhow::Result<Connection> {
    Connection::open_announced(&fixture.sidecar, &fixture.authority, HOST, header).await
}

async fn ask_as(fixture: &Fixture, header: &[u8]) -> anyhow::Result<Answer> {
    connect_as(fixture, header).await?.ask(request(PATH, TOKEN, UPDATE)).await
}

fn forwarded(lines: &[&str]) -> String {
    let lines = lines.iter().map(|line| format!("X-Forwarded-For: {line}\r\n")).collect::<Vec<_>>().concat();
    let length = UPDATE.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{TOKEN_HEADER}: {TOKEN}\r\n{lines}Content-Length: {length}\r\n\r\n{UPDATE}"
    )
}

fn ended(outcome: &str) -> String {
    format!("telegram_webhook_sidecar_connections_ended_total{{outcome=\"{outcome}\"}}")
}

/// Waits until connections have ended in this way, so many or more.
async fn wait_until_ended(fixture: &Fixture, outcome: &str, times: u64) -> anyhow::Result<()> {
    wait::until(outcome, Duration::from_secs(30), || async {
        Ok((fixture.metric(&ended(outcome)).await? >= times).then_some(()))
    })
    .await
}

/// Fails unless the sidecar ends a connection that begins so, without a byte of an answer.
async fn assert_dropped(fixture: &Fixture, bytes: &[u8], outcome: &str) -> anyhow::Result<()> {
    let before = fixture.metric(&ended(outcome)).await?;
    // it may be gone before it is ours, or before it has said anything
    if let Ok(mut stream) = TcpStream::connect(fixture.sidecar.webhook_address).await {
        drop(stream.write_all(bytes).await);
        assert_eq!(stream.read(&mut [0]).await.unwrap_or_default(), 0, "{outcome}");
    }
    wait_until_ended(fixture, outcome, before + 1).await
}

#[tokio::test]
async fn only_the_declared_addresses_are_let_in_and_no_header_changes_that() -> anyhow::Result<()> {
    let fixture = fixture(AddressSource::Peer).await?;
    let mut connection = fixture.connect().await?;
    for path in [PATH, "/"] {
        let answer = connection.ask(request(path, TOKEN, UPDATE)).await?;
        assert_eq!(answer.status, 403);
        answer.assert_bare();
    }
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP"] {
        let claim = forwarded(&[TELEGRAM]).replace("X-Forwarded-For", header);
        assert_eq!(connection.ask(claim).await?.status, 403, "{header}");
    }
    assert!(fixture.crm.has_received_nothing_more());
    // nobody speaks the PROXY protocol where it isn't declared
    assert!(connect_as(&fixture, &v1(TELEGRAM)).await.is_err());
    wait_until_ended(&fixture, "handshake_failed", 1).await
}

#[tokio::test]
async fn the_proxy_protocol_tells_the_client_in_both_versions() -> anyhow::Result<()> {
    let fixture = fixture(AddressSource::ProxyProtocol).await?;
    for (header, status) in [
        (v1(TELEGRAM), 200),
        (v1(STRANGER), 403),
        (v1("2001:db8::1"), 200),
        (v1("::ffff:149.154.167.200"), 200),
        (v1("2001:db8:1::1"), 403),
        (v2([149, 154, 167, 200]), 200),
        (v2([203, 0, 113, 9]), 403),
        // the proxy itself, which is nobody Telegram sends from
        (b"PROXY UNKNOWN\r\n".to_vec(), 403),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), 403),
    ] {
        assert_eq!(ask_as(&fixture, &header).await?.status, status, "{:?}", String::from_utf8_lossy(&header));
    }
    let mut connection = connect_as(&fixture, &v1(STRANGER)).await?;
    assert_eq!(connection.ask(forwarded(&[TELEGRAM])).await?.status, 403, "a header changes nothing");
    Ok(())
}

#[tokio::test]
async fn a_connection_without_a_whole_proxy_header_is_dropped() -> anyhow::Result<()> {
    let mut fixture = fixture(AddressSource::ProxyProtocol).await?;
    for bytes in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 nobody nowhere 1 1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        // ended by nobody: in a while
        b"PROXY TCP4",
    ] {
        assert_dropped(&fixture, bytes, "bad_proxy_header").await?;
    }
    // the tests are no trusted proxy any more
    fixture.config.client_address.trusted_proxies = vec!["192.0.2.0/24".to_owned()];
    fixture.reconfigure().await?;
    assert_dropped(&fixture, &v1(TELEGRAM), "untrusted_proxy").await?;
    assert!(fixture.crm.has_received_nothing_more());
    Ok(())
}

#[tokio::test]
async fn where_the_client_is_found_changes_with_the_configuration() -> anyhow::Result<()> {
    let mut fixture = fixture(AddressSource::Peer).await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 403);
    fixture.config.client_address.source = AddressSource::ProxyProtocol;
    fixture.config.client_address.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    fixture.reconfigure().await?;
    assert_eq!(ask_as(&fixture, &v1(TELEGRAM)).await?.status, 200);
    fixture.config.client_address.source = AddressSource::XForwardedFor;
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(forwarded(&[TELEGRAM])).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn of_what_was_forwarded_the_right_most_untrusted_hop_counts() -> anyhow::Result<()> {
    let mut fixture = fixture(AddressSource::XForwardedFor).await?;
    let mut connection = fixture.connect().await?;
    for (lines, status) in [
        (&[TELEGRAM][..], 200),
        (&["203.0.113.9, 149.154.167.200, 127.0.0.2"], 200),
        (&[STRANGER, TELEGRAM], 200),
        (&["\"[2001:db8::1%eth0]:443\""], 200),
        // forged by the client, left of its own address
        (&["149.154.167.200, 203.0.113.9"], 403),
        (&[TELEGRAM, STRANGER], 403),
        (&["149.154.167.200, unknown, 127.0.0.2"], 403),
        (&["149.154.167.200,"], 403),
        (&[], 403),
    ] {
        assert_eq!(connection.ask(forwarded(lines)).await?.status, status, "{lines:?}");
    }
    fixture.config.client_address.trusted_proxies = vec!["192.0.2.0/24".to_owned()];
    fixture.reconfigure().await?;
    assert_eq!(connection.ask(forwarded(&[TELEGRAM])).await?.status, 403, "of an untrusted peer");
    Ok(())
}

#[tokio::test]
async fn an_unlisted_client_can_be_closed_before_the_handshake() -> anyhow::Result<()> {
    let mut fixture = Fixture::start_with(|config| {
        config.source_address.ranges = vec!["149.154.160.0/20".to_owned()];
        config.source_address.refusal = AddressRefusal::Close;
    })
    .await?;
    assert!(fixture.connect().await.is_err());
    wait_until_ended(&fixture, "unlisted", 1).await?;
    fixture.config.client_address.source = AddressSource::ProxyProtocol;
    fixture.config.client_address.trusted_proxies = vec!["127.0.0.0/8".to_owned()];
    fixture.reconfigure().await?;
    assert_eq!(ask_as(&fixture, &v1(TELEGRAM)).await?.status, 200);
    assert!(connect_as(&fixture, &v1(STRANGER)).await.is_err());
    wait_until_ended(&fixture, "unlisted", 2).await?;
    // where requests name their clients nothing is known by then
    fixture.config.client_address.source = AddressSource::XForwardedFor;
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(forwarded(&[STRANGER])).await?.status, 403);
    Ok(())
}

/// What the admin port says about where the requests come from.
async fn sources(fixture: &Fixture) -> anyhow::Result<Option<SourceVisible>> {
    let loaded: LoadedConfig = serde_json::from_str(&fixture.admin("GET", "/config").await?.body)?;
    Ok(loaded.webhooks[0].source_visible)
}

#[tokio::test]
async fn enforcement_that_refuses_telegram_itself_is_said_and_shadow_lets_it_in() -> anyhow::Result<()> {
    let mut fixture = fixture(AddressSource::Peer).await?;
    let visible = "telegram_webhook_sidecar_source_visible{webhook=\"crm/support\"}";
    // a stranger's request says nothing about Telegram
    assert_eq!(fixture.ask(request(PATH, "wrong", UPDATE)).await?.status, 403);
    assert_eq!(sources(&fixture).await?, None);
    assert!(!fixture.admin("GET", "/metrics").await?.body.contains(visible));

    let before = fixture.sidecar.log().len();
    for _ in 0..2 {
        assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 403);
    }
    let seen = |unlisted| Some(SourceVisible { visible: false, listed: 0, unlisted, unroutable: unlisted });
    assert_eq!(sources(&fixture).await?, seen(2));
    assert!(fixture.admin("GET", "/metrics").await?.body.contains(&format!("{visible} 0\n")));
    let fix = "set clientAddress, or sourceAddress.mode Shadow";
    let said: Vec<_> =
        fixture.sidecar.log().into_iter().skip(before).filter(|line| line.contains(fix)).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("\"level\":\"ERROR\""), "{said:?}");
    let refused = "telegram_webhook_sidecar_requests_total{webhook=\"crm/support\",slot=\"1\",outcome=\"address_not_allowed\"}";
    assert_eq!(fixture.metric(refused).await?, 2);

    fixture.config.source_address.mode = AddressMode::Shadow;
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(sources(&fixture).await?, seen(3));
    let counted = |mode| {
        format!(
            "telegram_webhook_sidecar_source_address_total{{webhook=\"crm/support\",verdict=\"unlisted\",mode=\"{mode}\"}}"
        )
    };
    assert_eq!(fixture.metric(&counted("Shadow")).await?, 1);
    assert_eq!(fixture.metric(&counted("Enforce")).await?, 2);
    fixture.config.source_address.mode = AddressMode::Off;
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(sources(&fixture).await?, seen(3));
    Ok(())
}

#[tokio::test]
async fn one_address_holds_few_connections_without_proof() -> anyhow::Result<()> {
    let fixture = fixture(AddressSource::ProxyProtocol).await?;
    let mut telegram = connect_as(&fixture, &v1(TELEGRAM)).await?;
    let mut other = connect_as(&fixture, &v1("203.0.113.8")).await?;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(connect_as(&fixture, &v1(STRANGER)).await?);
    }
    for evicted in &mut crowd[..4] {
        assert!(evicted.is_closed().await);
    }
    assert_eq!(fixture.metric(&ended("evicted")).await?, 4);
    for kept in crowd[4..].iter_mut().chain([&mut other]) {
        // of so many the last are too many in a second
        let status = kept.ask(request("/", "", "")).await?.status;
        assert!(status == 403 || status == 429, "{status}");
    }
    // listed addresses hold as many as they like
    let mut many = Vec::new();
    for _ in 0..20 {
        many.push(connect_as(&fixture, &v1(TELEGRAM)).await?);
    }
    for connection in many.iter_mut().chain([&mut telegram]) {
        assert_eq!(connection.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn one_address_gets_few_handshakes_in_a_second() -> anyhow::Result<()> {
    let fixture = fixture(AddressSource::ProxyProtocol).await?;
    // nothing but the header: a handshake would slow us down
    let mut streams = Vec::new();
    for _ in 0..120 {
        let mut stream = TcpStream::connect(fixture.sidecar.webhook_address).await?;
        stream.write_all(&v1(STRANGER)).await?;
        streams.push(stream);
    }
    wait_until_ended(&fixture, "handshake_rate", 1).await?;
    assert_eq!(ask_as(&fixture, &v1(TELEGRAM)).await?.status, 200);
    Ok(())
}
