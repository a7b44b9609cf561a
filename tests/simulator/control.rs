//! The control API through its typed client over real HTTP.

use serde_json::json;
use telegram_webhook_tests::telegram::{
    control::{
        ControlClient, ControlTransport, DeliveryControl, Enqueue, HijackCall, HttpTransport, TokenAction,
    },
    faults::{ApiFault, ApiFaultKind, DeliveryFault},
    record::Outcome,
};

use crate::{
    bench::{Bench, URL},
    http_api::serve,
    script::Action,
};

async fn start() -> (Bench, ControlClient<HttpTransport>) {
    let bench = Bench::idle(|request| {
        if request.chat == 2 && request.attempt == 1 {
            Action::status("503 Service Unavailable")
        } else {
            Action::body("application/json", r#"{"method":"sendMessage","text":"x"}"#)
        }
    });
    let client = ControlClient::new(HttpTransport::new(serve(&bench.simulator).await));
    (bench, client)
}

/// Looks until nothing waits.
async fn until_done(client: &ControlClient<HttpTransport>) -> anyhow::Result<()> {
    while client.summary().await?.pending > 0 {
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn updates_are_made_delivered_counted_and_shown_with_their_tries() -> anyhow::Result<()> {
    let (bench, client) = start().await;
    bench.call("setWebhook", &[("url", URL), ("secret_token", "s")]).await;
    let made = client
        .enqueue(&Enqueue { count: 6, chats: vec![1, 2, 3], text: "n{i}".to_owned(), ..Enqueue::default() })
        .await?;
    assert_eq!((made.update_ids.len(), made.discarded), (6, 0));
    until_done(&client).await?;

    let summary = client.summary().await?;
    assert_eq!((summary.enqueued, summary.delivered, summary.attempts), (6, 6, 8));
    assert_eq!((summary.statuses["200"], summary.statuses["503"]), (6, 2));
    let deliveries = client.deliveries().await?;
    assert!(deliveries.iter().all(|delivery| delivery.outcome == Outcome::Delivered));
    let refusals = client.refusals().await?;
    assert_eq!(refusals.len(), 2, "each of chat 2's at its first try");
    assert_eq!(refusals[0].attempts[0].status, Some(503));
    assert_eq!(refusals[0].attempts[1].status, Some(200));
    let replies = client.replies().await?;
    assert_eq!(replies.len(), 6);
    assert!(replies.iter().all(|reply| reply.executed));
    Ok(())
}

#[tokio::test]
async fn calls_and_the_slot_are_shown_with_the_secret_and_without_the_token() -> anyhow::Result<()> {
    let (bench, client) = start().await;
    bench.call("setWebhook", &[("url", URL), ("secret_token", "the-secret")]).await;
    bench.call("getWebhookInfo", &[]).await;
    let calls = client.calls(Some("setWebhook")).await?;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].parameters["secret_token"], "the-secret");
    assert_eq!(client.calls(None).await?.len(), 2);
    let webhook = client.webhook().await?;
    assert_eq!((webhook.url.as_str(), webhook.secret_token.as_str()), (URL, "the-secret"));

    let shown = format!("{calls:?} {webhook:?}");
    assert!(!shown.contains("the-secret") && !shown.contains("/hook"), "{shown}");
    let everything = serde_json::to_string(&calls)?;
    assert!(!everything.contains("opens-nothing"), "{everything}");
    Ok(())
}

#[tokio::test]
async fn faults_are_injected_listed_and_cleared() -> anyhow::Result<()> {
    let (bench, client) = start().await;
    let fault = ApiFault {
        method: "getMe".to_owned(),
        kind: ApiFaultKind::Status { status: 503 },
        count: 2,
        after_effect: false,
    };
    client.inject(&fault).await?;
    assert_eq!(bench.call("getMe", &[]).await.status, 503);
    assert_eq!(client.faults().await?[0].count, 1);
    client.clear_faults().await?;
    assert_eq!(bench.call("getMe", &[]).await.status, 200);
    Ok(())
}

#[tokio::test]
async fn deliveries_are_paused_resumed_and_their_answers_lost() -> anyhow::Result<()> {
    let (bench, client) = start().await;
    bench.call("setWebhook", &[("url", URL)]).await;
    let pause = |paused| DeliveryControl { paused: Some(paused), ..DeliveryControl::default() };
    client.control_delivery(&pause(true)).await?;
    let lose = DeliveryControl {
        fault: Some(DeliveryFault::LoseAnswer),
        next_update_id: Some(500),
        ..DeliveryControl::default()
    };
    client.control_delivery(&lose).await?;
    let made = client.enqueue(&Enqueue::default()).await?;
    assert_eq!(made.update_ids, [500]);
    assert!(bench.script.received().is_empty());
    client.control_delivery(&pause(false)).await?;
    until_done(&client).await?;
    assert_eq!(bench.requests(500).len(), 2, "sent again after its answer was lost");
    Ok(())
}

#[tokio::test]
async fn tokens_are_added_revoked_and_restored_and_bots_chosen_by_id() -> anyhow::Result<()> {
    let (bench, client) = start().await;
    let second = client.add_bot("777:second", Some("second_bot")).await?;
    assert_eq!((second.id, second.username.as_str()), (777, "second_bot"));
    let second = client.clone().for_bot(777);
    second.enqueue(&Enqueue::default()).await?;
    assert_eq!(second.summary().await?.enqueued, 1);
    assert_eq!(client.clone().for_bot(123_456).summary().await?.enqueued, 0);

    let first = client.for_bot(123_456);
    first.set_token(TokenAction::Revoke).await?;
    assert!(first.bots().await?.iter().any(|bot| bot.id == 123_456 && bot.revoked));
    first.set_token(TokenAction::Restore).await?;
    assert_eq!(bench.call("getMe", &[]).await.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_hijacker_acts_and_reset_forgets() -> anyhow::Result<()> {
    let (bench, client) = start().await;
    let call = HijackCall {
        method: "setWebhook".to_owned(),
        parameters: json!({"url": URL, "max_connections": 3}).as_object().cloned().unwrap(),
        certificate: None,
    };
    assert_eq!(client.hijack(&call).await?.answer["description"], "Webhook was set");
    assert_eq!(bench.info().await["max_connections"], 3);
    client.reset().await?;
    assert_eq!(bench.info().await["url"], "");
    assert_eq!(client.calls(None).await?.len(), 1, "only the one just made");
    Ok(())
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_reason() -> anyhow::Result<()> {
    let (bench, _) = start().await;
    let transport = HttpTransport::new(serve(&bench.simulator).await);
    for (path, body, reason) in [
        ("/control/updates", json!({"kinds": ["nonsense"]}), "unknown kind"),
        ("/control/updates", json!({"chats": []}), "must not be empty"),
        ("/control/updates", json!({"cuont": 5}), "cuont"),
        ("/control/nowhere", json!({}), "no such path"),
        ("/control/bots", json!({"token": "malformed"}), "bot token"),
        ("/control/faults?bot=5", json!({}), "no such bot"),
    ] {
        let error = transport.call(http::Method::POST, path, Some(body)).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    Ok(())
}
