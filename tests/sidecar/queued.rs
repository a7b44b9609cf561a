//! With mode `Queued`: Telegram gets its 200 for what is stored, and the CRM gets it from there, whatever happens in between.

use rustix::process::Signal;
use telegram_webhook_sidecar_config::{AnswerAfter, Delivery, Secret};
use telegram_webhook_tests::sidecar::{Sidecar, binary};
use tokio::process::Command;

use crate::{
    crm::Reply,
    fixture::{self, Fixture, PATH, TOKEN, TOKEN_HEADER, request},
    series::series,
};

fn update(id: i64) -> Vec<u8> {
    request(PATH, TOKEN, fixture::update(id))
}

fn answer(status: u16) -> Reply {
    Reply { status, headers: Vec::new(), body: "" }
}

async fn start() -> anyhow::Result<Fixture> {
    start_with(Delivery::default()).await
}

async fn start_with(delivery: Delivery) -> anyhow::Result<Fixture> {
    Fixture::start_with(|config| config.delivery = delivery).await
}

#[tokio::test]
async fn what_is_stored_reaches_the_crm_though_it_was_down_and_the_sidecar_was_killed() -> anyhow::Result<()>
{
    let mut fixture = start().await?;
    let state = tempfile::tempdir()?;
    fixture.sidecar = Sidecar::start_with_state(fixture.folder.path(), state.path()).await?;
    fixture.crm.reply_with(answer(503));
    for id in 1..=20 {
        assert_eq!(fixture.ask(update(id)).await?.status, 200);
    }
    fixture.sidecar.signal(Signal::KILL)?;
    fixture.sidecar.ended().await?;
    while !fixture.crm.has_received_nothing_more() {
        fixture.crm.received().await?;
    }
    fixture.crm.reply_with(answer(200));
    fixture.sidecar = Sidecar::start_with_state(fixture.folder.path(), state.path()).await?;
    for id in 1..=20 {
        let (head, body) = fixture.crm.received().await?;
        assert_eq!(body, fixture::update(id));
        let webhook_id = head.headers["webhook-id"].to_str()?;
        assert!(webhook_id.ends_with(&format!("-{id}")), "{webhook_id}");
    }
    assert_eq!(fixture.ask(update(7)).await?.status, 200);
    assert_eq!(fixture.requests("duplicate").await?, 1);
    assert_eq!(fixture.ask(update(21)).await?.status, 200);
    assert_eq!(fixture.crm.received().await?.1, fixture::update(21));
    Ok(())
}

#[tokio::test]
async fn each_delivery_is_signed_and_carries_the_crms_own_token() -> anyhow::Result<()> {
    let key = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let mut fixture = start_with(Delivery {
        signing_keys: vec![Secret(key.to_owned())],
        secret_token: Some(Secret("the-crms-own".to_owned())),
        ..Delivery::default()
    })
    .await?;
    assert_eq!(fixture.ask(update(1)).await?.status, 200);
    let (head, _) = fixture.crm.received().await?;
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("?");
    assert!(header("webhook-signature").starts_with("v1,"), "{:?}", head.headers);
    assert_eq!(header(TOKEN_HEADER), "the-crms-own");
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_read_is_set_aside_and_can_be_looked_at() -> anyhow::Result<()> {
    let fixture = start().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, r#"{"update_id":5}"#)).await?.status, 200);
    assert_eq!(fixture.requests("malformed").await?, 1);
    let admin = fixture.sidecar.admin_address.to_string();
    let told =
        Command::new(binary().await?).args(["dead-letters", "--admin-address", &admin]).output().await?;
    let told = String::from_utf8(told.stdout)?;
    assert!(told.contains("malformed: holds nothing but an update_id"), "{told}");
    Ok(())
}

#[tokio::test]
async fn what_the_crm_will_never_take_is_set_aside_and_the_chat_goes_on() -> anyhow::Result<()> {
    let mut fixture = start().await?;
    fixture.crm.reply_with(answer(422));
    assert_eq!(fixture.ask(update(1)).await?.status, 200);
    fixture.crm.received().await?;
    let refused = series("dead_lettered_total", &[("webhook", fixture::WEBHOOK), ("reason", "refused")]);
    fixture.wait_for_metric(&refused, |count| count == 1).await?;
    fixture.crm.reply_with(answer(200));
    assert_eq!(fixture.ask(update(2)).await?.status, 200);
    assert_eq!(fixture.crm.received().await?.1, fixture::update(2));

    let admin = fixture.sidecar.admin_address.to_string();
    let replay = ["dead-letters", "replay", "--all", "--admin-address", &admin];
    let told = Command::new(binary().await?).args(replay).output().await?;
    assert!(told.status.success(), "{told:?}");
    assert_eq!(fixture.crm.received().await?.1, fixture::update(1));
    Ok(())
}

#[tokio::test]
async fn with_answer_after_delivered_the_answer_waits_for_the_crm() -> anyhow::Result<()> {
    let mut fixture =
        start_with(Delivery { answer_after: AnswerAfter::Delivered, ..Delivery::default() }).await?;
    fixture.crm.hold(true);
    let mut connection = fixture.connect().await?;
    connection.send(update(1)).await?;
    fixture.crm.received().await?;
    let in_flight = series("requests_in_flight", &[]);
    fixture.wait_for_metric(&in_flight, |in_flight| in_flight == 1).await?;
    fixture.crm.hold(false);
    assert_eq!(connection.answer().await?.status, 200);
    assert_eq!(fixture.requests("stored").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_sidecar_that_is_told_to_stop_hands_over_what_it_has_stored() -> anyhow::Result<()> {
    let mut fixture = start().await?;
    fixture.crm.hold(true);
    for id in 1..=5 {
        assert_eq!(fixture.ask(update(id)).await?.status, 200);
    }
    fixture.sidecar.signal(Signal::TERM)?;
    fixture.crm.hold(false);
    fixture.sidecar.ended().await?;
    // and not at its deadline
    fixture.sidecar.logged(0, "stopped").await?;
    for id in 1..=5 {
        assert_eq!(fixture.crm.received().await?.1, fixture::update(id));
    }
    Ok(())
}
