//! Bans that sidecars share.

use std::{net::IpAddr, time::Duration};

use telegram_webhook_sidecar::{
    address,
    bans::exchange::{Exchange as _, SharedBan},
    queue::{Clock, redis::RedisBans},
};

use super::{redis, settings};
use telegram_webhook_tests::servers::redis::RedisServer;

#[tokio::test]
async fn what_one_sidecar_bans_the_others_hear_of_until_it_is_over_or_lifted() -> anyhow::Result<()> {
    let server = RedisServer::start("").await?;
    let settings = settings(&redis(vec![server.address()]))?;
    let now = Clock::new().now();
    let open = |now| RedisBans::open(settings.clone(), Clock::at(now));
    let (one, other) = (open(now), open(now));
    let ban = |client: &str, seconds| {
        let client: IpAddr = client.parse().expect("an address");
        let until = now + Duration::from_secs(seconds);
        SharedBan { client: address::key(client), failures: 20, until }
    };
    let (short, long) = (ban("203.0.113.9", 60), ban("2001:db8:1:2::3", 3600));
    assert_eq!(other.changed().await?, Some(vec![]));
    assert_eq!(other.changed().await?, None);
    one.ban(long.clone()).await?;
    one.ban(short.clone()).await?;
    assert_eq!(other.changed().await?, Some(vec![short.clone(), long.clone()]));
    assert_eq!(other.changed().await?, None);
    // one that starts later hears of what is in force by then
    assert_eq!(open(now + Duration::from_secs(61)).changed().await?, Some(vec![long.clone()]));
    other.lift(long.client).await?;
    assert_eq!(one.changed().await?, Some(vec![short]));
    open(now + Duration::from_secs(61)).ban(long.clone()).await?;
    assert_eq!(one.changed().await?, Some(vec![long]));
    Ok(())
}
