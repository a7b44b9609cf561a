//! Whoever asks too often is told to wait, and whoever is banned isn't answered at all.

use std::process::Output;

use serde_json::{Value, json};
use telegram_webhook_sidecar_config::{AddressMode, AddressSource, Ban, Rate, WebhookConfig};
use telegram_webhook_tests::sidecar::binary;
use tokio::process::Command;

use crate::{
    client::Answer,
    fixture::{Fixture, NAME, PATH, TOKEN, UPDATE, behind_a_proxy, request, update},
    series::{requests_of, series},
};

/// The tests come from addresses that are nobody's, and are let in all the same.
fn strangers(config: &mut WebhookConfig) {
    config.source_address.mode = AddressMode::Off;
    config.source_address.ranges = vec!["192.0.2.0/24".to_owned()];
}

fn retry_after(answer: &Answer) -> Option<u64> {
    answer.header("retry-after")?.parse().ok()
}

/// Runs the `bans` command.
async fn bans(fixture: &Fixture, args: &[&str]) -> anyhow::Result<Output> {
    let admin = fixture.sidecar.admin_address.to_string();
    let mut command = Command::new(binary().await?);
    Ok(command.arg("bans").args(args).args(["--admin-address", &admin]).output().await?)
}

#[tokio::test]
async fn a_stranger_who_fails_too_often_has_to_wait_and_nobody_else() -> anyhow::Result<()> {
    let fixture = Fixture::start_with(|config| {
        strangers(config);
        config.limits.unauthenticated = Rate { requests: 3, window_seconds: 3600 };
    })
    .await?;
    let mut connection = fixture.connect().await?;
    assert_eq!(connection.ask(request("/", TOKEN, UPDATE)).await?.status, 404);
    assert_eq!(connection.ask(format!("GET {PATH} HTTP/1.1\r\nHost: h\r\n\r\n")).await?.status, 405);
    assert_eq!(connection.ask(request(PATH, "wrong", UPDATE)).await?.status, 401);
    for (path, token) in [("/", TOKEN), (PATH, "wrong"), ("/", "")] {
        let answer = connection.ask(request(path, token, UPDATE)).await?;
        assert_eq!(answer.status, 429);
        answer.assert_bare();
        // until an eighth of the window after it, as a whole number of seconds
        assert!(retry_after(&answer).is_some_and(|seconds| (3590..=4050).contains(&seconds)), "{answer:?}");
    }
    assert!(fixture.crm.has_received_nothing_more());
    for _ in 0..10 {
        assert_eq!(connection.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200, "it authenticates");
    }
    let limited = requests_of("", "", "rate_limited_unauthenticated");
    assert_eq!(fixture.metric(&limited).await?, 2);
    let line = fixture.sidecar.logged(0, "request refused").await?;
    assert!(line.contains("127.0.0.1"), "{line}");
    Ok(())
}

#[tokio::test]
async fn telegrams_own_addresses_may_fail_as_often_as_they_like() -> anyhow::Result<()> {
    let fixture = Fixture::start_with(|config| {
        config.limits.unauthenticated = Rate { requests: 1, window_seconds: 3600 };
    })
    .await?;
    let mut connection = fixture.connect().await?;
    for _ in 0..30 {
        assert_eq!(connection.ask(request(PATH, "wrong", UPDATE)).await?.status, 401);
    }
    Ok(())
}

#[tokio::test]
async fn telegram_is_asked_to_come_again_soon_when_it_sends_more_than_it_may() -> anyhow::Result<()> {
    let mut fixture = Fixture::start_with(|config| {
        config.limits.authenticated = Rate { requests: 3, window_seconds: 3600 };
    })
    .await?;
    let mut connection = fixture.connect().await?;
    for id in 0..3 {
        assert_eq!(connection.ask(request(PATH, TOKEN, update(id))).await?.status, 200);
        fixture.crm.received().await?;
    }
    let answer = connection.ask(request(PATH, TOKEN, UPDATE)).await?;
    assert_eq!((answer.status, retry_after(&answer)), (429, Some(5)));
    answer.assert_bare();
    assert!(fixture.crm.has_received_nothing_more());
    assert_eq!(connection.ask(request(PATH, "wrong", UPDATE)).await?.status, 401);
    assert_eq!(fixture.requests("rate_limited_authenticated").await?, 1);
    Ok(())
}

#[tokio::test]
async fn who_is_banned_for_ever_is_cut_off_and_nobody_but_the_configuration_lifts_it() -> anyhow::Result<()> {
    let mut fixture = Fixture::start_with(strangers).await?;
    let mut open = fixture.connect().await?;
    assert_eq!(open.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    fixture.crm.received().await?;
    assert_eq!(fixture.admin("GET", "/bans").await?.body, "[]");
    assert_eq!(bans(&fixture, &[]).await?.stdout, b"nobody is banned\n");

    fixture.config.limits.banned = vec!["127.0.0.0/8".to_owned()];
    fixture.reconfigure().await?;
    let answer = open.ask(request(PATH, TOKEN, UPDATE)).await?;
    assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));
    answer.assert_bare();
    assert!(open.is_closed().await);
    assert!(fixture.connect().await.is_err(), "closed before the handshake");
    assert!(fixture.crm.has_received_nothing_more());
    assert!(fixture.ended("banned").await? > 0);

    let listed: Value = serde_json::from_str(&fixture.admin("GET", "/bans").await?.body)?;
    assert_eq!(listed, json!([{"address": "127.0.0.0/8", "permanent": true, "webhook": "crm/support"}]));
    let shown = bans(&fixture, &["list"]).await?;
    let shown = String::from_utf8(shown.stdout)?;
    assert_eq!(shown, "127.0.0.0/8 for ever, by limits.banned of crm/support\n");
    let refused = fixture.admin("DELETE", "/bans/127.0.0.1").await?;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.body, "127.0.0.1 is banned by limits.banned of crm/support: remove it there");
    for (address, said) in
        [("127.0.0.1", format!("{}\n", refused.body)), ("8.8.4.5", "8.8.4.5 is not banned\n".to_owned())]
    {
        let lifted = bans(&fixture, &["lift", address]).await?;
        assert_eq!((lifted.status.code(), &*lifted.stdout), (Some(1), &b""[..]), "{address}");
        assert_eq!(String::from_utf8(lifted.stderr)?, said);
    }
    assert_eq!(fixture.admin("DELETE", "/bans/192.0.2.1").await?.status, 404);

    fixture.config.limits.banned.clear();
    fixture.reconfigure().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn who_insists_is_banned_until_it_is_lifted() -> anyhow::Result<()> {
    const STRANGER: &str = "198.51.100.7";
    let fixture = Fixture::start_with(|config| {
        strangers(config);
        config.client_address = behind_a_proxy(AddressSource::ProxyProtocol);
        config.limits.ban = Some(Ban { failures: 3, window_seconds: 3600, duration_seconds: 3600 });
    })
    .await?;
    let mut open = fixture.connect_from(STRANGER).await?;
    for _ in 0..3 {
        assert_eq!(open.ask(request(PATH, "wrong", UPDATE)).await?.status, 401);
    }
    let line = fixture.sidecar.logged(0, "client banned").await?;
    let line: Value = serde_json::from_str(&line)?;
    assert_eq!((&line["level"], &line["fields"]["failures"]), (&json!("WARN"), &json!(3)), "{line}");
    assert_eq!(line["fields"]["client"], STRANGER, "{line}");

    let answer = open.ask(request(PATH, TOKEN, UPDATE)).await?;
    assert_eq!((answer.status, answer.header("connection")), (403, Some("close")));
    answer.assert_bare();
    assert!(open.is_closed().await);
    assert!(fixture.connect_from(STRANGER).await.is_err(), "closed before the handshake");
    let mut other = fixture.connect_from("198.51.100.8").await?;
    assert_eq!(other.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    for name in ["bans_total", "bans_active"] {
        assert_eq!(fixture.metric(&series(name, &[])).await?, 1, "{name}");
    }

    let shown = String::from_utf8(bans(&fixture, &[]).await?.stdout)?;
    assert!(shown.starts_with("198.51.100.7 until 20"), "{shown}");
    assert!(shown.ends_with("Z, after 3 requests that failed to authenticate\n"), "{shown}");
    let lifted = bans(&fixture, &["lift", STRANGER]).await?;
    assert!(lifted.status.success());
    assert_eq!(String::from_utf8(lifted.stdout)?, format!("lifted: {STRANGER}\n"));
    assert_eq!(fixture.admin("GET", "/bans").await?.body, "[]");
    let mut again = fixture.connect_from(STRANGER).await?;
    assert_eq!(again.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_limits_is_named_and_the_old_ones_stay() -> anyhow::Result<()> {
    let mut fixture = Fixture::start_with(|config| {
        strangers(config);
        config.limits.unauthenticated = Rate { requests: 1, window_seconds: 3600 };
    })
    .await?;
    fixture.config.limits.unauthenticated.requests = 0;
    fixture.config.limits.banned = vec!["149.154.0.0/16".to_owned()];
    fixture.folder.set(NAME, &fixture.config, &fixture.certificate);
    fixture.publish("new configuration refused, the old one stays in use").await?;
    for problem in ["limits.unauthenticated.requests: must be 1 to 1000000", "149.154.0.0/16 overlaps"] {
        // each has a line of its own
        fixture.sidecar.logged_where(problem, |line| line.contains(problem)).await?;
    }
    assert_eq!(fixture.ask(request("/", TOKEN, UPDATE)).await?.status, 404);
    assert_eq!(fixture.ask(request("/", TOKEN, UPDATE)).await?.status, 429);
    Ok(())
}
