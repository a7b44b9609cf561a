//! A sidecar without a CRM: it stores for others, or takes nothing in.

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use telegram_webhook_sidecar_config::{Backend, Consume, Delivery, Redis, RedisTopology};
use telegram_webhook_tests::{
    servers::redis::RedisServer,
    sidecar::{DEADLINE, Sidecar, binary},
    wait,
};
use tokio::{process::Command, time::timeout};

use crate::{
    fixture::{self, Fixture, PATH, TOKEN, WEBHOOK, request},
    series::series,
};

fn update(id: i64) -> Vec<u8> {
    request(PATH, TOKEN, fixture::update(id))
}

fn redis(server: &RedisServer) -> Delivery {
    let redis = Redis {
        addresses: vec![server.address()],
        topology: RedisTopology::Standalone,
        username: None,
        password: None,
        database: 0,
        tls: None,
        key_prefix: "telegram-webhook".to_owned(),
        max_updates: 1000,
        consume: Consume::Sidecar,
    };
    Delivery { backend: Backend::Redis(Box::new(redis)), ..Delivery::default() }
}

#[tokio::test]
async fn what_one_stores_only_another_delivers_in_order_when_it_is_back() -> anyhow::Result<()> {
    let server = RedisServer::start("").await?;
    let mut fixture = Fixture::start_with(|config| config.delivery = redis(&server)).await?;
    assert_eq!(fixture.ask(update(1)).await?.status, 200);
    assert_eq!(fixture.crm.received().await?.1, fixture::update(1));
    fixture.sidecar.signal(Signal::TERM)?;
    fixture.sidecar.ended().await?;

    // the CRM could be reached from here all the time
    fixture.sidecar = Sidecar::start_store_only(&fixture.folder).await?;
    for id in 1..=20 {
        assert_eq!(fixture.ask(update(id)).await?.status, 200);
    }
    assert_eq!((fixture.requests("stored").await?, fixture.requests("duplicate").await?), (19, 1));
    let queue = fixture.admin("GET", "/queue").await?.body;
    assert!(queue.contains("\"updates\":19"), "{queue}");
    fixture
        .wait_for_metric(&series("queue_updates", &[("webhook", WEBHOOK)]), |waiting| waiting == 19)
        .await?;
    assert!(fixture.crm.has_received_nothing_more());

    // beside it, as when a pod of the CRM is ready again
    let back = Sidecar::start(&fixture.folder).await?;
    for id in 2..=20 {
        assert_eq!(fixture.crm.received().await?.1, fixture::update(id));
    }
    assert_eq!(fixture.ask(update(21)).await?.status, 200);
    assert_eq!(fixture.crm.received().await?.1, fixture::update(21));
    drop(back);
    Ok(())
}

#[tokio::test]
async fn what_nobody_else_would_deliver_is_not_taken_in() -> anyhow::Result<()> {
    let mut fixture = Fixture::start_with(|config| config.delivery = Delivery::default()).await?;
    fixture.sidecar = Sidecar::start_store_only(&fixture.folder).await?;
    assert_eq!(fixture.ask(update(1)).await?.status, 503);
    assert_eq!(fixture.requests("queue_unavailable").await?, 1);
    assert!(fixture.crm.has_received_nothing_more());
    Ok(())
}

#[tokio::test]
async fn the_container_beside_it_stands_by_until_it_is_told_to_stop() -> anyhow::Result<()> {
    let mut child = Command::new(binary().await?).arg("stand-by").kill_on_drop(true).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id().context("it has ended")?)?).context("no id")?;
    // once the signal has a handler it isn't the default's to end the process
    wait::until("a handler of SIGTERM", DEADLINE, async || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).context("no mask")?;
        Ok((u64::from_str_radix(caught, 16)? & (1 << 14) != 0).then_some(()))
    })
    .await?;
    kill_process(pid, Signal::TERM)?;
    assert!(timeout(DEADLINE, child.wait()).await??.success());
    Ok(())
}
