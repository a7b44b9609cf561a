//! Bans that sidecars share.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use telegram_webhook_sidecar::{
    address,
    bans::exchange::{Exchange, MAX, News, SharedBan},
    queue::{Clock, redis::RedisBans},
};
use telegram_webhook_tests::wait;

use super::{BOT, redis, settings};
use telegram_webhook_tests::servers::redis::RedisServer;

use crate::bench::PATIENCE;

/// A ban, and its end.
pub fn news(client: &str) -> [News; 2] {
    let client: IpAddr = client.parse().expect("an address");
    let client = address::key(client);
    let until = Clock::new().now() + Duration::from_hours(1);
    [News::Ban(SharedBan { client, failures: 20, until }), News::Lift(client)]
}

/// Follows until it has heard this.
pub async fn hears(exchange: &impl Exchange, expected: &[News]) -> anyhow::Result<()> {
    let heard = Mutex::new(Vec::new());
    let follow = exchange.follow(|news| heard.lock().unwrap_or_else(PoisonError::into_inner).push(news));
    let all = wait::until("news to be heard", PATIENCE, async || {
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((*heard == expected).then_some(()))
    });
    tokio::select! {
        all = all => all,
        error = follow => anyhow::bail!("{error}"),
    }
}

#[tokio::test]
async fn what_one_sidecar_tells_all_hear_in_order_also_who_comes_later() -> anyhow::Result<()> {
    let server = RedisServer::start("").await?;
    let settings = settings(&redis(vec![server.address()]))?;
    let open = || RedisBans::open(settings.clone(), BOT);
    let (one, other) = (open(), open());
    let ([ban, lift], [site, _]) = (news("203.0.113.9"), news("2001:db8:1:2::3"));
    one.tell(&ban).await?;
    hears(&other, &[ban]).await?;
    other.tell(&lift).await?;
    one.tell(&site).await?;
    hears(&other, &[lift, site]).await?;
    hears(&one, &[ban, lift, site]).await?;
    hears(&open(), &[ban, lift, site]).await?;
    // another bot's are another webhook's
    let stranger = RedisBans::open(settings.clone(), BOT + 1);
    stranger.tell(&lift).await?;
    hears(&stranger, &[lift]).await
}

#[tokio::test]
async fn no_more_is_kept_than_a_sidecar_remembers() -> anyhow::Result<()> {
    let server = RedisServer::start("appendfsync no").await?;
    let bans = RedisBans::open(settings(&redis(vec![server.address()]))?, BOT);
    let stream = format!("telegram-webhook:{{{BOT}}}:bans");
    let fill = format!(
        "for i = 1, {} do redis.call('XADD', '{stream}', '*', 'event', 'lift', 'client', '203.0.113.9') end",
        MAX + 5000
    );
    server.command(&["EVAL", &fill, "0"]).await?;
    bans.tell(&news("203.0.113.9")[0]).await?;
    let length: usize = server.command(&["XLEN", &stream]).await?.parse()?;
    // by whole nodes of a hundred
    assert!((MAX..MAX + 1000).contains(&length), "{length}");
    Ok(())
}
