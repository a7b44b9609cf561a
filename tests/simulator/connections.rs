//! The section "Connections", and what section 3.2 to 3.4 say about them.

use std::time::Duration;

use crate::{
    bench::{Bench, HOST, assert_near, per_second},
    script::Action,
};

fn chats(count: i64) -> Vec<i64> {
    (1..=count).map(|chat| -chat).collect()
}

#[tokio::test(start_paused = true)]
async fn observed_200_chats_at_40_connections_are_done_in_7_seconds_after_a_slow_start() {
    let bench = Bench::start(|_| Action::ok().after(1.0)).await;
    let start = bench.script.received().first().map_or_else(tokio::time::Instant::now, |first| first.at);
    bench.enqueue(&chats(200));
    bench.run_for(8.0).await;
    let received = bench.script.received();
    let counts = per_second(&received, start);
    // measured: 1, 29, 40, 40, 40, 40, 10; a clock without latency opens one connection more in the second second
    assert_eq!(counts, [1, 30, 40, 40, 40, 40, 9]);
    assert_eq!(bench.pending(), 0);
    assert_eq!(bench.script.opened().len(), 40);
}

#[tokio::test(start_paused = true)]
async fn observed_18_connections_open_in_the_half_second_after_the_first_success_and_then_10_per_half_second()
{
    let bench = Bench::start(|_| Action::ok().after(1.0)).await;
    bench.enqueue(&chats(200));
    let opened_by = async |seconds| {
        bench.run_for(seconds).await;
        bench.script.opened().len()
    };
    assert_eq!(opened_by(0.98).await, 1, "one until the first success");
    let first_half = opened_by(0.52).await - 1;
    assert!((18..=19).contains(&first_half), "{first_half}");
    let second_half = opened_by(0.5).await - 1 - first_half;
    assert_eq!(second_half, 10);
}

#[tokio::test(start_paused = true)]
async fn observed_the_webhook_counts_as_verified_before_any_request_is_answered() {
    let bench = Bench::start(|_| Action::Silence).await;
    bench.enqueue(&[-1]);
    bench.run_for(0.1).await;
    assert_eq!(bench.script.received().len(), 1, "set and sending, though nothing was ever answered");
}

#[tokio::test(start_paused = true)]
async fn observed_with_several_ready_chats_and_one_connection_the_newest_is_sent_first() {
    let bench = Bench::start(|_| Action::Silence).await;
    bench.enqueue(&chats(5));
    bench.run_for(0.1).await;
    assert_eq!(bench.script.received()[0].chat, -5);
}

#[tokio::test(start_paused = true)]
async fn fact_3_2_without_a_success_there_is_one_connection_however_many_chats_wait() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    bench.enqueue(&chats(20));
    bench.run_for(30.0).await;
    assert_eq!(bench.script.opened().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fact_3_2_ten_seconds_without_a_success_stop_the_growth() {
    let bench = Bench::start(|request| {
        if request.chat == 77 { Action::ok() } else { Action::status("500 Internal Server Error") }
    })
    .await;
    bench.warm_up().await;
    bench.run_for(11.0).await;
    bench.enqueue(&chats(20));
    bench.run_for(5.0).await;
    assert_eq!(bench.script.opened().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fact_3_2_an_idle_connection_is_opened_for_verification_and_ends_after_60_seconds() {
    let bench = Bench::start(|_| Action::ok()).await;
    bench.run_for(1.0).await;
    assert_eq!(bench.script.opened().len(), 1);
    assert!(bench.script.received().is_empty());
    bench.run_for(60.0).await;
    bench.enqueue(&[-1]);
    bench.run_for(0.1).await;
    assert_eq!(bench.script.received()[0].connection, 2, "the first one had ended");
    assert_eq!(bench.last_error().await, None);
}

#[tokio::test(start_paused = true)]
async fn fact_3_4_an_answer_must_be_complete_within_60_seconds_however_it_trickles() {
    // the head comes at once, the body never
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let bench = Bench::start(move |_| Action::raw(head)).await;
    bench.enqueue(&[-1]);
    bench.run_for(60.1).await;
    assert_eq!(bench.last_error().await.as_deref(), Some("Read timeout expired"));
}

#[tokio::test(start_paused = true)]
async fn fact_3_2_a_refused_connection_shows_the_systems_text_and_fails_the_update() {
    let bench = Bench::idle(|_| Action::ok());
    *bench.network.refusal.lock().unwrap() = Some("Connection refused".to_owned());
    assert_eq!(bench.set(&[("url", crate::bench::URL)]).await, "Webhook was set");
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(3.0).await;
    assert_eq!(bench.last_error().await.as_deref(), Some("Connection refused"));
    *bench.network.refusal.lock().unwrap() = None;
    bench.run_for(10.0).await;
    assert_eq!(bench.requests(id).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fact_3_3_a_moved_address_is_noticed_after_half_an_hour() {
    let bench = Bench::start(|_| Action::ok()).await;
    bench.network.name(HOST, &["149.154.160.99"]);
    bench.run_for(29.0 * 60.0).await;
    assert_eq!(bench.info().await["ip_address"], crate::bench::ADDRESS);
    bench.run_for(5.0 * 60.0).await;
    assert_eq!(bench.info().await["ip_address"], "149.154.160.99");
    bench.enqueue(&[-1]);
    bench.run_for(3.0).await;
    let targets = bench.network.targets.lock().unwrap().clone();
    assert_eq!(targets.last().unwrap().address.to_string(), "149.154.160.99:443");
}

#[tokio::test(start_paused = true)]
async fn fact_3_2_a_connection_to_the_old_address_is_closed_after_its_answer() {
    let bench = Bench::start(|_| Action::ok()).await;
    bench.network.name(HOST, &["149.154.160.99"]);
    // one request a half minute keeps the first connection open
    for _ in 0..70 {
        bench.enqueue(&[-1]);
        bench.run_for(30.0).await;
    }
    let used: Vec<usize> = bench.script.received().iter().map(|request| request.connection).collect();
    assert_eq!(used.first(), Some(&1));
    assert_eq!(used.last(), Some(&2));
    let last = bench.network.targets.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last.address.to_string(), "149.154.160.99:443");
    assert_eq!(bench.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn fact_3_4_the_60_seconds_start_again_when_a_request_is_handed_over() {
    let bench = Bench::start(|_| Action::Silence).await;
    bench.run_for(50.0).await;
    bench.enqueue(&[-1]);
    bench.run_for(59.0).await;
    assert_eq!(bench.last_error().await, None);
    bench.run_for(2.0).await;
    assert_eq!(bench.last_error().await.as_deref(), Some("Read timeout expired"));
}

#[tokio::test(start_paused = true)]
async fn fact_3_4_a_server_that_never_accepts_is_a_write_timeout() {
    let bench = Bench::idle(|_| Action::ok());
    *bench.network.hangs.lock().unwrap() = true;
    bench.set(&[("url", crate::bench::URL)]).await;
    bench.enqueue(&[-1]);
    bench.run_for(61.0).await;
    assert_eq!(bench.last_error().await.as_deref(), Some("Write timeout expired"));
}

#[tokio::test(start_paused = true)]
async fn fact_3_2_requests_are_never_pipelined() {
    let bench = Bench::start_with(|_| Action::ok().after(0.5), &[("max_connections", "1")]).await;
    bench.enqueue(&chats(4));
    bench.run_for(3.0).await;
    let times: Vec<f64> =
        bench.script.received().windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64()).collect();
    assert_near(&times, &[0.5, 0.5, 0.5]);
    assert_eq!(bench.script.opened().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_a_request_head_over_4096_bytes_hangs_its_chat_without_an_error() {
    let url = format!("https://{HOST}/{}", "x".repeat(4096));
    let bench = Bench::idle(|_| Action::ok());
    assert_eq!(bench.set(&[("url", &url)]).await, "Webhook was set");
    bench.enqueue(&[-1]);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert!(bench.script.received().is_empty());
    assert_eq!(bench.last_error().await, None);
    assert_eq!(bench.pending(), 1);
}
