//! Connections that hold places and say nothing.

use std::time::Duration;

use telegram_webhook_tests::wait;
use tokio::net::TcpStream;

use crate::{
    client::Connection,
    fixture::{Fixture, PATH, TOKEN, UPDATE, request},
};

/// As many as the webhook port takes.
const PLACES: usize = 512;

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

    let ended =
        |outcome: &str| format!("telegram_webhook_sidecar_connections_ended_total{{outcome=\"{outcome}\"}}");
    wait::until("an eviction", Duration::from_secs(30), || async {
        Ok((fixture.metric(&ended("evicted")).await? > 0).then_some(()))
    })
    .await?;
    assert_eq!(fixture.metric(&ended("over_limit")).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_silent_connection_does_not_hold_a_place_of_the_admin_port_for_long() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    // longer than it is kept would be longer than this waits
    assert!(Connection::open_admin(&fixture.sidecar).await?.is_closed().await);
    Ok(())
}
