//! Start, readiness, drain and stop.

use std::{fs, process::Stdio};

use rustix::process::Signal;
use telegram_webhook_sidecar_config::Limits;
use telegram_webhook_tests::{
    pki::Authority,
    sidecar::{ConfigFolder, Sidecar, binary},
};
use tokio::process::Command;

use crate::fixture::{Fixture, HOST, NAME, PATH, TOKEN, UPDATE, config, request, slot};

#[tokio::test]
async fn a_missing_folder_is_a_configuration_error() -> anyhow::Result<()> {
    let folder = ConfigFolder::new()?;
    let ended = Sidecar::start_in_vain(&folder.path().join("missing")).await?;
    assert_eq!(ended.status.code(), Some(64));
    assert!(ended.lines.iter().any(|line| line.contains("can't be read")), "{:?}", ended.lines);
    Ok(())
}

#[tokio::test]
async fn an_empty_folder_is_a_configuration_error() -> anyhow::Result<()> {
    let folder = ConfigFolder::new()?;
    let ended = Sidecar::start_in_vain(folder.path()).await?;
    assert_eq!(ended.status.code(), Some(64));
    assert!(ended.lines.iter().any(|line| line.contains("holds no webhook")), "{:?}", ended.lines);
    Ok(())
}

#[tokio::test]
async fn a_folder_with_certificates_only_is_a_configuration_error() -> anyhow::Result<()> {
    let certificate = Authority::new()?.issue(HOST)?;
    let mut folder = ConfigFolder::new()?;
    for name in ["a", "b"] {
        folder.set_file(name, "tls.crt", &*certificate.chain);
        folder.set_file(name, "tls.key", &*certificate.key);
    }
    folder.publish()?;
    let ended = Sidecar::start_in_vain(folder.path()).await?;
    assert_eq!(ended.status.code(), Some(64));
    let log = ended.lines.join("\n");
    for said in
        ["a/config.json: does not exist", "b/config.json: does not exist", "exists yet", "Ready condition"]
    {
        assert!(log.contains(said), "{said} is missing in\n{log}");
    }
    Ok(())
}

#[tokio::test]
async fn every_mistake_is_named_at_once_and_none_quotes_a_secret() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let mut folder = ConfigFolder::new()?;
    let mut bad = config("a", "not a host", 0);
    bad.slots = vec![slot(1, "no-slash-SECRET", "bad token SECRET"), slot(1, "/ok", "ok")];
    bad.limits = Limits { upstream_timeout_seconds: 60, ..Limits::default() };
    folder.set("a", &bad, &authority.issue(HOST)?);
    folder.set_file("a", "tls.key", "SECRET");
    folder.set("b", &config("b", HOST, 3000), &authority.issue(HOST)?);
    folder.set_file("b", "config.json", "{\"slots\": \"SECRET\"}");
    folder.publish()?;
    let ended = Sidecar::start_in_vain(folder.path()).await?;
    assert_eq!(ended.status.code(), Some(64));
    let log = ended.lines.join("\n");
    for place in [
        "a/config.json: host:",
        "a/config.json: upstream.port:",
        "a/config.json: slots[0].path:",
        "a/config.json: slots[0].secretToken:",
        "a/config.json: slots[1].id:",
        "a/config.json: limits.upstreamTimeoutSeconds:",
        "a/tls.key:",
        "b/config.json: slots:",
    ] {
        assert!(log.contains(place), "{place} is missing in\n{log}");
    }
    assert!(!log.contains("SECRET"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_of_another_kind() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let state = tempfile::tempdir()?;
    let second = Command::new(binary().await?)
        .args(["run", "--admin-listen", "127.0.0.1:0", "--listen"])
        .arg(fixture.sidecar.webhook_address.to_string())
        .arg("--config-dir")
        .arg(fixture.folder.path())
        .arg("--state-dir")
        .arg(state.path())
        .output()
        .await?;
    assert_eq!(second.status.code(), Some(1));
    let log = String::from_utf8_lossy(&second.stdout);
    assert!(log.contains(&format!("listen on {}", fixture.sidecar.webhook_address)), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_plain_folder_without_the_kubelets_link_works_too() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let dir = tempfile::tempdir()?;
    fs::create_dir(dir.path().join(NAME))?;
    for file in ["config.json", "tls.crt", "tls.key"] {
        fs::copy(fixture.folder.path().join(NAME).join(file), dir.path().join(NAME).join(file))?;
    }
    fixture.sidecar = Sidecar::start_at(dir.path()).await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    let before = fixture.sidecar.log().len();
    fixture.config.slots = vec![slot(2, PATH, "next")];
    fs::write(dir.path().join(NAME).join("config.json"), fixture.config.to_bytes())?;
    fixture.sidecar.logged(before, "configuration loaded").await?;
    assert_eq!(fixture.ask(request(PATH, "next", UPDATE)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_draining_sidecar_is_not_ready_but_serves_and_asks_to_reconnect() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    assert_eq!(fixture.admin("GET", "/readyz").await?.status, 200);
    let mut open = fixture.connect().await?;
    assert_eq!(open.ask(request(PATH, TOKEN, UPDATE)).await?.header("connection"), None);

    let drain = Command::new(binary().await?)
        .args(["drain", "--admin-address", &fixture.sidecar.admin_address.to_string()])
        .stdout(Stdio::null())
        .status()
        .await?;
    assert!(drain.success());

    let ready = fixture.admin("GET", "/readyz").await?;
    assert_eq!((ready.status, &*ready.body), (503, "draining"));
    assert_eq!(fixture.admin("GET", "/livez").await?.status, 200);
    let answer = open.ask(request(PATH, TOKEN, UPDATE)).await?;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert!(open.is_closed().await);
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200, "new connections too");
    Ok(())
}

#[tokio::test]
async fn drain_fails_where_nothing_listens() -> anyhow::Result<()> {
    let nowhere = format!("127.0.0.1:{}", crate::crm::Crm::absent().await?);
    let drain = Command::new(binary().await?)
        .args(["drain", "--admin-address", &nowhere])
        .stdout(Stdio::null())
        .status()
        .await?;
    assert_eq!(drain.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_stopped_sidecar_finishes_what_is_under_way() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.crm.hold(true);
    let mut idle = fixture.connect().await?;
    let mut busy = fixture.connect().await?;
    busy.send(request(PATH, TOKEN, UPDATE)).await?;
    fixture.crm.received().await?;

    fixture.sidecar.signal(Signal::TERM)?;
    fixture.sidecar.logged(0, "stopping").await?;
    assert!(idle.is_closed().await);
    assert_eq!(fixture.admin("GET", "/readyz").await?.body, "draining");

    fixture.crm.hold(false);
    let answer = busy.answer().await?;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    drop(busy);
    assert_eq!(fixture.sidecar.ended().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_stopped_sidecar_does_not_wait_for_ever() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.crm.hold(true);
    let mut busy = fixture.connect().await?;
    busy.send(request(PATH, TOKEN, UPDATE)).await?;
    fixture.crm.received().await?;
    fixture.sidecar.signal(Signal::TERM)?;
    fixture.sidecar.logged(0, "stopped at the deadline with requests under way").await?;
    assert_eq!(fixture.sidecar.ended().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.crm.hold(true);
    let mut busy = fixture.connect().await?;
    busy.send(request(PATH, TOKEN, UPDATE)).await?;
    fixture.crm.received().await?;
    fixture.sidecar.signal(Signal::TERM)?;
    fixture.sidecar.logged(0, "stopping").await?;
    fixture.sidecar.signal(Signal::TERM)?;
    assert_eq!(fixture.sidecar.ended().await?.code(), Some(130));
    Ok(())
}
