//! Connections that hold places and say nothing, and how many one address gets.

use futures::future::try_join_all;
use telegram_webhook_sidecar_config::AddressSource;
use telegram_webhook_tests::{sidecar::DEADLINE, wait};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    client::Connection,
    fixture::{Fixture, PATH, TOKEN, UPDATE, announcement, behind_a_proxy, request},
};

/// As many as the webhook port takes.
const PLACES: usize = 512;
const TELEGRAM: &str = "149.154.167.200";
const STRANGER: &str = "203.0.113.9";
const OTHER_STRANGER: &str = "203.0.113.8";

/// A sidecar that knows Telegram's addresses, behind a proxy that tells them.
async fn proxied() -> anyhow::Result<Fixture> {
    Fixture::start_with(|config| {
        config.source_address.ranges = vec!["149.154.160.0/20".to_owned()];
        config.client_address = behind_a_proxy(AddressSource::ProxyProtocol);
    })
    .await
}

#[tokio::test]
async fn silent_connections_give_way_to_newcomers_and_never_cost_telegram_its_own() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let mut telegram = fixture.connect().await?;
    assert_eq!(telegram.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);

    let mut silent = Vec::new();
    for _ in 0..PLACES {
        silent.push(TcpStream::connect(fixture.sidecar.webhook_address).await?);
    }
    let mut newcomer = fixture.connect().await?;
    assert_eq!(newcomer.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(telegram.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);

    fixture.wait_for_ended("evicted", 1).await?;
    assert_eq!(fixture.ended("over_limit").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_a_place_of_the_admin_port_for_long() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    // longer than it is kept would be longer than this waits
    assert!(Connection::open_admin(&fixture.sidecar).await?.is_closed().await);
    Ok(())
}

#[tokio::test]
async fn one_address_holds_few_connections_without_proof() -> anyhow::Result<()> {
    let fixture = proxied().await?;
    let mut telegram = fixture.connect_from(TELEGRAM).await?;
    let mut other = fixture.connect_from(OTHER_STRANGER).await?;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(fixture.connect_from(STRANGER).await?);
    }
    for evicted in &mut crowd[..4] {
        assert!(evicted.is_closed().await);
    }
    assert_eq!(fixture.ended("evicted").await?, 4);
    for kept in crowd[4..].iter_mut().chain([&mut other]) {
        // of so many the last are too many in a second
        let status = kept.ask(request("/", "", "")).await?.status;
        assert!(status == 403 || status == 429, "{status}");
    }
    // listed addresses hold as many as they like
    let mut many = Vec::new();
    for _ in 0..20 {
        many.push(fixture.connect_from(TELEGRAM).await?);
    }
    for connection in many.iter_mut().chain([&mut telegram]) {
        assert_eq!(connection.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn one_address_gets_few_handshakes_in_a_second() -> anyhow::Result<()> {
    let fixture = proxied().await?;
    // nothing but the header: a handshake would slow us down. As often as it takes until so many fall into one second
    let announce = async |_| {
        let mut stream = TcpStream::connect(fixture.sidecar.webhook_address).await?;
        stream.write_all(announcement(STRANGER).as_bytes()).await?;
        anyhow::Ok(stream)
    };
    wait::until("a connection too many", DEADLINE, async || {
        let _open = try_join_all((0..120).map(announce)).await?;
        Ok((fixture.ended("handshake_rate").await? > 0).then_some(()))
    })
    .await?;
    // that address alone: what all strangers get together is not used up
    for (client, status) in [(OTHER_STRANGER, 403), (TELEGRAM, 200)] {
        let mut connection = fixture.connect_from(client).await?;
        assert_eq!(connection.ask(request(PATH, TOKEN, UPDATE)).await?.status, status, "{client}");
    }
    Ok(())
}
