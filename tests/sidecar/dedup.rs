//! Each update reaches the CRM once, whatever Telegram sends again and whatever is killed.

use std::{fs, path::Path};

use rustix::process::Signal;
use telegram_webhook_tests::sidecar::Sidecar;

use crate::{
    crm::Reply,
    fixture::{self, Fixture, PATH, TOKEN, request},
    series::series,
};

fn update(id: i64) -> Vec<u8> {
    request(PATH, TOKEN, fixture::update(id))
}

/// Waits until so many requests are being worked on.
async fn wait_for_in_flight(fixture: &Fixture, count: u64) -> anyhow::Result<()> {
    fixture.wait_for_metric(&series("requests_in_flight", &[]), |in_flight| in_flight == count).await
}

/// Ends the sidecar as a crash would and starts another one with the same state.
async fn kill_and_restart(fixture: &mut Fixture, state: &Path) -> anyhow::Result<()> {
    fixture.sidecar.signal(Signal::KILL)?;
    fixture.sidecar.ended().await?;
    fixture.sidecar = Sidecar::start_with_state(fixture.folder.path(), state).await?;
    Ok(())
}

#[tokio::test]
async fn an_update_that_is_sent_again_reaches_the_crm_once() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    assert_eq!(fixture.ask(update(1)).await?.status, 200);
    let again = fixture.ask(update(1)).await?;
    assert_eq!(again.status, 200);
    again.assert_bare();
    fixture.crm.received().await?;
    assert!(fixture.crm.has_received_nothing_more());
    assert_eq!(fixture.requests("duplicate").await?, 1);
    assert_eq!(fixture.requests("delivered").await?, 1);
    Ok(())
}

#[tokio::test]
async fn ids_that_jump_down_and_ids_with_another_body_are_forwarded() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let other = request(PATH, TOKEN, fixture::update(3).replace("hello", "another"));
    for update in [update(2_000_000_000), update(3), update(2), other] {
        assert_eq!(fixture.ask(update).await?.status, 200);
        fixture.crm.received().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_update_stays_known_when_the_sidecar_is_killed() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let state = tempfile::tempdir()?;
    fixture.sidecar = Sidecar::start_with_state(fixture.folder.path(), state.path()).await?;
    for id in [3, 2, 1] {
        assert_eq!(fixture.ask(update(id)).await?.status, 200);
        fixture.crm.received().await?;
        kill_and_restart(&mut fixture, state.path()).await?;
    }
    for id in [1, 2, 3] {
        assert_eq!(fixture.ask(update(id)).await?.status, 200);
    }
    assert!(fixture.crm.has_received_nothing_more());
    assert_eq!(fixture.requests("duplicate").await?, 3);
    assert_eq!(fixture.ask(update(4)).await?.status, 200);
    fixture.crm.received().await?;
    Ok(())
}

#[tokio::test]
async fn of_two_copies_at_the_same_moment_the_crm_sees_one_and_both_get_its_answer() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.crm.hold(true);
    let (mut first, mut second) = (fixture.connect().await?, fixture.connect().await?);
    first.send(update(1)).await?;
    fixture.crm.received().await?;
    second.send(update(1)).await?;
    wait_for_in_flight(&fixture, 2).await?;
    fixture.crm.hold(false);
    assert_eq!(first.answer().await?.status, 200);
    assert_eq!(second.answer().await?.status, 200);
    assert!(fixture.crm.has_received_nothing_more());
    assert_eq!(fixture.requests("duplicate").await?, 1);
    Ok(())
}

#[tokio::test]
async fn when_the_first_copy_fails_the_second_is_delivered() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.crm.hold(true);
    fixture.crm.reply_with(Reply { status: 500, headers: Vec::new(), body: "" });
    let (mut first, mut second) = (fixture.connect().await?, fixture.connect().await?);
    first.send(update(1)).await?;
    fixture.crm.received().await?;
    second.send(update(1)).await?;
    wait_for_in_flight(&fixture, 2).await?;
    fixture.crm.hold(false);
    assert_eq!(first.answer().await?.status, 503);
    fixture.crm.received().await?;
    assert_eq!(second.answer().await?.status, 503, "it was an update of its own, and failed too");
    fixture.crm.reply_with(Reply { status: 200, headers: Vec::new(), body: "" });
    assert_eq!(fixture.ask(update(1)).await?.status, 200);
    assert_eq!(fixture.requests("delivered").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_copy_that_waits_too_long_is_told_to_try_again() -> anyhow::Result<()> {
    let mut fixture = Fixture::start_with(|config| config.limits.upstream_timeout_seconds = 30).await?;
    fixture.crm.hold(true);
    let (mut first, mut second) = (fixture.connect().await?, fixture.connect().await?);
    first.send(update(1)).await?;
    fixture.crm.received().await?;
    // the configuration that the copy meets waits less long than the first one's
    fixture.config.limits.upstream_timeout_seconds = 1;
    fixture.reconfigure().await?;
    second.send(update(1)).await?;
    let answer = second.answer().await?;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")));
    answer.assert_bare();
    assert_eq!(fixture.requests("in_progress").await?, 1);
    fixture.crm.hold(false);
    assert_eq!(first.answer().await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn an_update_whose_sender_has_gone_is_known_once_the_crm_has_it() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.crm.hold(true);
    let mut gone = fixture.connect().await?;
    gone.send(update(1)).await?;
    fixture.crm.received().await?;
    drop(gone);
    wait_for_in_flight(&fixture, 0).await?;
    let mut again = fixture.connect().await?;
    again.send(update(1)).await?;
    wait_for_in_flight(&fixture, 1).await?;
    fixture.crm.hold(false);
    assert_eq!(again.answer().await?.status, 200);
    assert!(fixture.crm.has_received_nothing_more());
    Ok(())
}

#[tokio::test]
async fn a_state_folder_that_another_sidecar_uses_or_that_can_not_be_used_is_a_configuration_error()
-> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let state = tempfile::tempdir()?;
    fixture.sidecar = Sidecar::start_with_state(fixture.folder.path(), state.path()).await?;
    let file = state.path().join("a-file");
    fs::write(&file, "")?;
    for (state, said) in [(state.path(), "another sidecar is using it"), (&file, "must be a folder")] {
        let ended = Sidecar::start_in_vain_with_state(fixture.folder.path(), state).await?;
        assert_eq!(ended.status.code(), Some(64));
        let log = ended.lines.join("\n");
        assert!(log.contains("--state-dir") && log.contains(said), "{said} is missing in\n{log}");
    }
    Ok(())
}
