//! Bans that sidecars share.

use telegram_webhook_sidecar::{
    bans::exchange::{Exchange as _, News},
    queue::rabbitmq::RabbitMqBans,
};
use telegram_webhook_sidecar_config::RabbitMq;
use telegram_webhook_tests::wait;

use super::{BOT, rabbitmq, settings};
use telegram_webhook_tests::servers::rabbitmq::shared;

use crate::{
    bench::PATIENCE,
    redis::bans::{hears, news},
};

/// Tells as soon as there is a connection, which there is while it is followed.
async fn tells(bans: &RabbitMqBans, news: &News) -> anyhow::Result<()> {
    let told =
        wait::until("news to be told", PATIENCE, async || Ok(bans.tell(news).await.is_ok().then_some(())));
    tokio::select! {
        told = told => told,
        error = bans.follow(|_| {}) => anyhow::bail!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_sidecar_tells_all_hear_in_order_also_who_comes_later() -> anyhow::Result<()> {
    let name_prefix = format!("test-{:016x}", getrandom::u64()?);
    let settings =
        settings(&RabbitMq { addresses: vec![shared().await?.address()], name_prefix, ..rabbitmq() })?;
    let open = || RabbitMqBans::open(settings.clone(), BOT);
    let (one, other) = (open()?, open()?);
    let ([ban, lift], [site, _]) = (news("203.0.113.9"), news("2001:db8:1:2::3"));
    tells(&one, &ban).await?;
    hears(&other, &[ban]).await?;
    tells(&one, &lift).await?;
    tells(&one, &site).await?;
    // it goes on where it ended
    hears(&other, &[lift, site]).await?;
    hears(&open()?, &[ban, lift, site]).await
}
