//! Whose request it is: the address rules, and proxies in front that are believed only where they are trusted.

use telegram_webhook_sidecar_config::{
    AddressMode, AddressRefusal, AddressSource, LoadedConfig, SourceVisible,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    client::Answer,
    fixture::{
        Fixture, HOST, PATH, TOKEN, TOKEN_HEADER, UPDATE, WEBHOOK, announcement, behind_a_proxy, request,
    },
    series::series,
};

const TELEGRAM: &str = "149.154.167.200";
const STRANGER: &str = "203.0.113.9";

/// A sidecar that takes Telegram's addresses only, and learns them from the tests as its proxy.
async fn fixture(source: AddressSource) -> anyhow::Result<Fixture> {
    Fixture::start_with(|config| {
        config.source_address.ranges = vec!["149.154.160.0/20".to_owned(), "2001:db8::/64".to_owned()];
        if source != AddressSource::Peer {
            config.client_address = behind_a_proxy(source);
        }
    })
    .await
}

/// The [`announcement`] of version 2, with an attribute behind the addresses.
fn v2(client: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13".to_vec();
    header.extend(client);
    header.extend([127, 0, 0, 1, 0x9c, 0x40, 1, 0xbb]);
    header.extend(b"\x04\0\x04\0\0\0\0");
    header
}

async fn ask_as(fixture: &Fixture, header: impl AsRef<[u8]>) -> anyhow::Result<Answer> {
    fixture.connect_announced(header).await?.ask(request(PATH, TOKEN, UPDATE)).await
}

fn forwarded(lines: &[&str]) -> String {
    let lines = lines.iter().map(|line| format!("X-Forwarded-For: {line}\r\n")).collect::<Vec<_>>().concat();
    let length = UPDATE.len();
    format!(
        "POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{TOKEN_HEADER}: {TOKEN}\r\n{lines}Content-Length: {length}\r\n\r\n{UPDATE}"
    )
}

/// Fails unless the sidecar ends a connection that begins so, without a byte of an answer.
async fn assert_dropped(fixture: &Fixture, bytes: &[u8], outcome: &str) -> anyhow::Result<()> {
    let before = fixture.ended(outcome).await?;
    // it may be gone before it is ours, or before it has said anything
    if let Ok(mut stream) = TcpStream::connect(fixture.sidecar.webhook_address).await {
        drop(stream.write_all(bytes).await);
        assert_eq!(stream.read(&mut [0]).await.unwrap_or_default(), 0, "{outcome}");
    }
    fixture.wait_for_ended(outcome, before + 1).await
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
    assert!(fixture.connect_from(TELEGRAM).await.is_err());
    fixture.wait_for_ended("handshake_failed", 1).await
}

#[tokio::test]
async fn the_proxy_protocol_tells_the_client_in_both_versions() -> anyhow::Result<()> {
    let fixture = fixture(AddressSource::ProxyProtocol).await?;
    for (header, status) in [
        (announcement(TELEGRAM).into_bytes(), 200),
        (announcement(STRANGER).into_bytes(), 403),
        (announcement("2001:db8::1").into_bytes(), 200),
        (announcement("::ffff:149.154.167.200").into_bytes(), 200),
        (announcement("2001:db8:1::1").into_bytes(), 403),
        (v2([149, 154, 167, 200]), 200),
        (v2([203, 0, 113, 9]), 403),
        // the proxy itself, which is nobody Telegram sends from
        (b"PROXY UNKNOWN\r\n".to_vec(), 403),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(), 403),
    ] {
        assert_eq!(ask_as(&fixture, &header).await?.status, status, "{:?}", String::from_utf8_lossy(&header));
    }
    let mut connection = fixture.connect_from(STRANGER).await?;
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
    assert_dropped(&fixture, announcement(TELEGRAM).as_bytes(), "untrusted_proxy").await?;
    assert!(fixture.crm.has_received_nothing_more());
    Ok(())
}

#[tokio::test]
async fn where_the_client_is_found_changes_with_the_configuration() -> anyhow::Result<()> {
    let mut fixture = fixture(AddressSource::Peer).await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 403);
    fixture.config.client_address = behind_a_proxy(AddressSource::ProxyProtocol);
    fixture.reconfigure().await?;
    assert_eq!(ask_as(&fixture, announcement(TELEGRAM)).await?.status, 200);
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
    fixture.wait_for_ended("unlisted", 1).await?;
    fixture.config.client_address = behind_a_proxy(AddressSource::ProxyProtocol);
    fixture.reconfigure().await?;
    assert_eq!(ask_as(&fixture, announcement(TELEGRAM)).await?.status, 200);
    assert!(fixture.connect_from(STRANGER).await.is_err());
    fixture.wait_for_ended("unlisted", 2).await?;
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
    let visible = &series("source_visible", &[("webhook", WEBHOOK)]);
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
    assert_eq!(fixture.requests("address_not_allowed").await?, 2);

    fixture.config.source_address.mode = AddressMode::Shadow;
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(sources(&fixture).await?, seen(3));
    for (mode, times) in [("Shadow", 1), ("Enforce", 2)] {
        let labels = [("webhook", WEBHOOK), ("verdict", "unlisted"), ("mode", mode)];
        assert_eq!(fixture.metric(&series("source_address_total", &labels)).await?, times, "{mode}");
    }
    fixture.config.source_address.mode = AddressMode::Off;
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(sources(&fixture).await?, seen(3));
    Ok(())
}
