//! getWebhookInfo (section 2).

use crate::{
    bench::{ADDRESS, Bench, URL},
    script::Action,
};

#[tokio::test(start_paused = true)]
async fn fact_2_an_empty_slot_shows_three_fields() {
    let bench = Bench::idle(|_| Action::ok());
    let answer = bench.call("getWebhookInfo", &[]).await;
    let expected =
        r#"{"ok":true,"result":{"url":"","has_custom_certificate":false,"pending_update_count":0}}"#;
    assert_eq!(answer.body, expected);
}

#[tokio::test(start_paused = true)]
async fn fact_2_a_set_webhook_shows_its_fields_in_order_and_never_the_secret() {
    let bench = Bench::start_with(
        |_| Action::status("500 Internal Server Error"),
        &[("secret_token", "the-secret"), ("allowed_updates", r#"["callback_query","message"]"#)],
    )
    .await;
    bench.enqueue(&[1]);
    bench.run_for(1.0).await;
    let body = bench.call("getWebhookInfo", &[]).await.body;
    let date = bench.info().await["last_error_date"].as_i64().unwrap();
    let expected = format!(
        r#"{{"ok":true,"result":{{"url":"{URL}","has_custom_certificate":false,"pending_update_count":1,"last_error_date":{date},"last_error_message":"Wrong response from the webhook: 500 Internal Server Error","max_connections":40,"ip_address":"{ADDRESS}","allowed_updates":["message","callback_query"]}}}}"#
    );
    assert_eq!(body, expected);
}

#[tokio::test(start_paused = true)]
async fn fact_2_the_last_error_is_not_cleared_by_a_success() {
    let bench = Bench::start(|request| {
        if request.attempt == 1 { Action::status("500 Internal Server Error") } else { Action::ok() }
    })
    .await;
    bench.enqueue(&[1]);
    bench.run_for(10.0).await;
    assert_eq!(bench.pending(), 0);
    assert!(bench.last_error().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn fact_2_updates_in_flight_count_as_pending() {
    let bench = Bench::start(|_| Action::Silence).await;
    bench.enqueue(&[1, 2]);
    bench.run_for(1.0).await;
    assert_eq!(bench.info().await["pending_update_count"], 2);
}
