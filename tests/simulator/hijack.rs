//! What another holder of the token can do (section 9), played through the control API's own functions.

use serde_json::{Value, json};
use telegram_webhook_tests::telegram::{
    control::{HijackAnswer, HijackCall, hijack},
    methods::Reaction,
    record::{Caller, Outcome},
};

use crate::{
    bench::{Bench, HOST, TOKEN, URL},
    script::Action,
};

async fn other_holder(bench: &Bench, method: &str, parameters: Value) -> HijackAnswer {
    let call = HijackCall {
        method: method.to_owned(),
        parameters: parameters.as_object().cloned().unwrap_or_default(),
        certificate: None,
    };
    hijack(&bench.bot, &call).await
}

async fn start() -> Bench {
    let bench = Bench::start_with(|_| Action::ok(), &[("secret_token", "ours")]).await;
    bench.run_for(2.0).await;
    bench
}

#[tokio::test(start_paused = true)]
async fn fact_9_another_url_shows_in_webhook_info_and_takes_the_updates() {
    let bench = start().await;
    let theirs = "https://hook.example.com/theirs";
    other_holder(&bench, "setWebhook", json!({"url": theirs})).await;
    assert_eq!(bench.info().await["url"], theirs);
    bench.enqueue(&[1]);
    bench.run_for(0.1).await;
    assert!(bench.script.received()[0].head.starts_with("POST /theirs "));
}

#[tokio::test(start_paused = true)]
async fn fact_9_our_url_with_another_secret_shows_only_in_the_description_of_the_next_set_webhook() {
    let bench = start().await;
    let ours = [("url", URL), ("secret_token", "ours")];
    let before = bench.info().await;
    assert_eq!(bench.set(&ours).await, "Webhook is already set");
    bench.run_for(1.0).await;
    other_holder(&bench, "setWebhook", json!({"url": URL, "secret_token": "theirs"})).await;
    assert_eq!(bench.info().await, before);
    bench.run_for(1.0).await;
    assert_eq!(bench.set(&ours).await, "Webhook was set");
}

#[tokio::test(start_paused = true)]
async fn fact_9_our_url_with_their_address_and_certificate_shows_in_two_fields() {
    let bench = start().await;
    let pem = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap().cert.pem();
    let call = HijackCall {
        method: "setWebhook".to_owned(),
        parameters: json!({"url": URL, "ip_address": "149.154.160.66"}).as_object().cloned().unwrap(),
        certificate: Some(pem),
    };
    assert_eq!(hijack(&bench.bot, &call).await.status, 200);
    let info = bench.info().await;
    assert_eq!(info["url"], URL);
    assert_eq!(info["has_custom_certificate"], true);
    assert_eq!(info["ip_address"], "149.154.160.66");
}

#[tokio::test(start_paused = true)]
async fn fact_9_delete_webhook_then_get_updates_eats_the_queue() {
    let bench = start().await;
    other_holder(&bench, "deleteWebhook", json!({})).await;
    let id = bench.enqueue(&[1])[0];
    let eaten = other_holder(&bench, "getUpdates", json!({})).await.answer;
    assert_eq!(eaten["result"][0]["update_id"], id);
    other_holder(&bench, "getUpdates", json!({"offset": id + 1})).await;
    bench.set(&[("url", URL)]).await;
    bench.run_for(1.0).await;
    assert!(bench.script.received().is_empty());
    assert_eq!(bench.delivery(id).outcome, Outcome::Fetched);
}

#[tokio::test(start_paused = true)]
async fn fact_8_close_stops_delivery_until_the_next_call() {
    let bench = start().await;
    assert_eq!(other_holder(&bench, "close", json!({})).await.status, 200);
    let id = bench.enqueue(&[1])[0];
    bench.run_for(100.0).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Pending);
    assert_eq!(bench.info().await["url"], URL, "and this very call revives it");
    bench.run_for(3.0).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn fact_8_close_is_refused_for_the_first_ten_minutes() {
    let bench = start().await;
    assert_eq!(bench.call("close", &[]).await.status, 429);
    bench.run_for(600.0).await;
    assert_eq!(bench.call("close", &[]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn fact_8_log_out_erases_the_webhook_and_the_queue_and_answers_logged_out() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    bench.enqueue(&[1]);
    other_holder(&bench, "logOut", json!({})).await;
    let answer = bench.call("getWebhookInfo", &[]).await;
    assert_eq!((answer.status, answer.description().as_str()), (400, "Logged out"));
    bench.run_for(601.0).await;
    assert_eq!(bench.info().await["url"], "");
    assert_eq!(bench.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn fact_8_a_revoked_token_is_unauthorized_and_its_webhook_gone_while_the_queue_stays() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    bench.enqueue(&[1]);
    bench.run_for(1.0).await;
    bench.simulator.set_revoked(bench.bot.id, true).await;
    let Reaction::Answer(answer) = bench.simulator.call(TOKEN, "getMe", &[]).await else {
        panic!("no answer")
    };
    assert_eq!((answer.status, answer.description().as_str()), (401, "Unauthorized"));
    let tries = bench.script.received().len();
    bench.run_for(100.0).await;
    assert_eq!(bench.script.received().len(), tries);
    bench.simulator.set_revoked(bench.bot.id, false).await;
    let info = bench.info().await;
    assert_eq!((&info["url"], &info["pending_update_count"]), (&"".into(), &1.into()));
}

#[tokio::test(start_paused = true)]
async fn calls_of_the_other_holder_are_marked_in_the_record() {
    let bench = start().await;
    other_holder(&bench, "getWebhookInfo", json!({})).await;
    let by: Vec<Caller> = bench.bot.lock().record.calls.iter().map(|call| call.by).collect();
    assert_eq!(by, [Caller::Client, Caller::Hijacker]);
}
