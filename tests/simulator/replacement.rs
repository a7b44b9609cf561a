//! What happens to updates when the webhook is set again (section 1.3).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use telegram_webhook_tests::telegram::record::Outcome;

use crate::{
    bench::{Bench, URL, assert_near},
    script::Action,
};

#[tokio::test(start_paused = true)]
async fn fact_1_3_an_update_in_flight_is_cut_and_sent_again_with_the_new_secret() {
    let bench = Bench::start_with(
        |request| {
            if request.head.contains("old") { Action::Silence } else { Action::ok() }
        },
        &[("secret_token", "old")],
    )
    .await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(1.0).await;
    assert_eq!(bench.script.left.load(Ordering::SeqCst), 0);
    let description = bench.set(&[("url", URL), ("secret_token", "new")]).await;
    assert_eq!(description, "Webhook was set");
    bench.run_for(0.1).await;
    assert_eq!(bench.script.left.load(Ordering::SeqCst), 1, "cut in the middle of a request");
    let requests = bench.requests(id);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(bench.delivery(id).outcome, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn fact_1_3_no_request_carries_the_old_secret_after_webhook_was_set() {
    let bench =
        Bench::start_with(|_| Action::status("500 Internal Server Error"), &[("secret_token", "old")]).await;
    bench.enqueue(&[-1, -2, -3]);
    bench.run_for(5.0).await;
    bench.set(&[("url", URL), ("secret_token", "new")]).await;
    let before = bench.script.received().len();
    bench.run_for(600.0).await;
    let after = bench.script.received().split_off(before);
    assert!(after.len() > 3);
    assert!(after.iter().all(|request| request.head.contains("Token: new")));
}

#[tokio::test(start_paused = true)]
async fn fact_1_3_a_changed_set_webhook_clears_all_back_off_and_a_repeated_one_does_not() {
    let broken = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&broken);
    let bench = Bench::start(move |_| {
        if state.load(Ordering::SeqCst) { Action::status("500 Internal Server Error") } else { Action::ok() }
    })
    .await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(63.0).await;
    broken.store(false, Ordering::SeqCst);
    assert_eq!(bench.set(&[("url", URL)]).await, "Webhook is already set");
    bench.run_for(10.0).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Pending, "waits out its 64 seconds");
    assert_eq!(bench.set(&[("url", URL), ("max_connections", "41")]).await, "Webhook was set");
    bench.run_for(0.1).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn fact_1_3_a_replacement_clears_the_error_history() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    bench.enqueue(&[-1]);
    bench.run_for(1.0).await;
    assert!(bench.last_error().await.is_some());
    bench.call("deleteWebhook", &[]).await;
    assert_eq!(bench.last_error().await, None);
    bench.run_for(100.0).await;
    let tries = bench.script.received().len();
    bench.run_for(1000.0).await;
    assert_eq!(bench.script.received().len(), tries, "nothing is sent without a webhook");
}

#[tokio::test(start_paused = true)]
async fn fact_1_3_pending_updates_survive_a_rejected_replacement_and_go_to_the_next_webhook() {
    let bench = Bench::start(|_| Action::ok()).await;
    let refused = bench.set(&[("url", "https://nowhere.example.com/")]).await;
    assert_eq!(refused, "Bad Request: bad webhook: Failed to resolve host: Name or service not known");
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(100.0).await;
    assert!(bench.script.received().is_empty());
    bench.set(&[("url", URL)]).await;
    bench.run_for(0.1).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_drop_pending_updates_empties_the_queue_before_validation() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(1.0).await;
    let answer = bench.set(&[("url", "https://:0/"), ("drop_pending_updates", "YES")]).await;
    assert_eq!(answer, "Bad Request: invalid webhook URL specified");
    assert_eq!(bench.pending(), 0);
    assert_eq!(bench.delivery(id).outcome, Outcome::Cleared);
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_drop_pending_updates_sets_again_even_if_nothing_changed() {
    let bench = Bench::start(|_| Action::ok()).await;
    assert_eq!(bench.set(&[("url", URL), ("drop_pending_updates", "1")]).await, "Webhook was set");
    assert_eq!(bench.set(&[("url", URL), ("drop_pending_updates", "false")]).await, "Webhook is already set");
}

#[tokio::test(start_paused = true)]
async fn fact_1_3_retries_start_again_from_the_first_delay() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(20.0).await;
    let before = bench.requests(id).len();
    bench.set(&[("url", URL), ("secret_token", "x")]).await;
    bench.run_for(7.0).await;
    assert_near(&bench.gaps(id)[before..], &[0.0, 2.0, 4.0]);
}
