//! Bans that sidecars share.

use std::{net::IpAddr, time::Duration};

use telegram_webhook_sidecar::{
    address,
    bans::exchange::{Exchange as _, SharedBan},
    queue::{Clock, rabbitmq::RabbitMqBans},
};
use telegram_webhook_sidecar_config::RabbitMq;
use telegram_webhook_tests::wait;

use super::{rabbitmq, settings};
use telegram_webhook_tests::servers::rabbitmq::shared;

use crate::bench::PATIENCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_sidecar_bans_the_others_hear_of_until_it_is_over_or_lifted() -> anyhow::Result<()> {
    let name_prefix = format!("test-{:016x}", getrandom::u64()?);
    let settings =
        settings(&RabbitMq { addresses: vec![shared().await?.address()], name_prefix, ..rabbitmq() })?;
    let now = Clock::new().now();
    let open = |now| RabbitMqBans::open(settings.clone(), Clock::at(now));
    let (one, other) = (open(now)?, open(now)?);
    let ban = |client: &str, seconds| {
        let client: IpAddr = client.parse().expect("an address");
        let until = now + Duration::from_secs(seconds);
        SharedBan { client: address::key(client), failures: 20, until }
    };
    let (short, long) = (ban("203.0.113.9", 600), ban("2001:db8:1:2::3", 3600));
    // an entry comes when it comes: what is heard in the end is what counts
    let hears = async |bans: &RabbitMqBans, expected: &[SharedBan]| {
        wait::until("bans to be heard of", PATIENCE, async || {
            Ok(bans.changed().await?.filter(|bans| bans == expected).map(drop))
        })
        .await
    };
    hears(&other, &[]).await?;
    wait::until("a ban to be told", PATIENCE, async || Ok(Some(one.ban(long.clone()).await?))).await?;
    hears(&other, std::slice::from_ref(&long)).await?;
    one.ban(short.clone()).await?;
    hears(&other, &[short.clone(), long.clone()]).await?;
    assert_eq!(other.changed().await?, None);
    // one that starts later hears of what is in force by then
    let later = open(now + Duration::from_secs(601))?;
    hears(&later, std::slice::from_ref(&long)).await?;
    wait::until("a ban to be lifted", PATIENCE, async || Ok(Some(other.lift(long.client).await?))).await?;
    hears(&one, &[short]).await
}
