//! The table "When it tries again".

use telegram_webhook_tests::telegram::{control::Enqueue, record::Outcome};

use crate::{
    bench::{Bench, assert_near},
    script::Action,
};

#[tokio::test(start_paused = true)]
async fn observed_always_500_is_tried_at_once_and_then_after_2_4_8_16_32_64_seconds() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(140.0).await;
    let gaps = bench.gaps(id);
    assert_near(&gaps, &[0.0, 2.0, 4.0, 8.0, 16.0, 32.0]);
    // the limit is random from 60 on, so the sixth doubling may be cut
    assert!((59.9..64.1).contains(&gaps[6]), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn fact_3_6_the_delay_stops_growing_between_60_and_120_seconds() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(3600.0).await;
    let gaps = bench.gaps(id);
    assert!(gaps.len() > 30, "{gaps:?}");
    assert!(gaps[6..].iter().all(|gap| (59.9..120.1).contains(gap)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn observed_after_a_retry_after_the_first_plain_failure_is_not_resent_at_once() {
    let bench = Bench::start(|request| {
        if request.attempt <= 3 {
            Action::retry_after("503 Service Unavailable", "2")
        } else {
            Action::status("500 Internal Server Error")
        }
    })
    .await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(40.0).await;
    assert_near(&bench.gaps(id), &[2.0, 2.0, 2.0, 2.0, 4.0, 8.0, 16.0]);
}

#[tokio::test(start_paused = true)]
async fn observed_a_retry_after_as_an_http_date_counts_as_absent() {
    let bench =
        Bench::start(|_| Action::retry_after("503 Service Unavailable", "Fri, 31 Dec 2027 23:59:59 GMT"))
            .await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(7.0).await;
    assert_near(&bench.gaps(id), &[0.0, 2.0, 4.0]);
}

#[tokio::test(start_paused = true)]
async fn fact_3_6_a_retry_after_is_cut_at_an_hour() {
    let bench = Bench::start(|_| Action::retry_after("503 Service Unavailable", "999999")).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(3700.0).await;
    assert_near(&bench.gaps(id), &[3600.0]);
}

#[tokio::test(start_paused = true)]
async fn observed_an_update_with_5_seconds_to_live_is_dropped_at_once_by_a_retry_after_of_10() {
    let bench = Bench::start(|_| Action::retry_after("503 Service Unavailable", "10")).await;
    let updates = Enqueue { life_seconds: Some(5), ..Enqueue::default() };
    let id = bench.make(&updates)[0];
    bench.run_for(0.1).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Dropped);
    assert_eq!(bench.pending(), 0);
    bench.run_for(60.0).await;
    assert_eq!(bench.requests(id).len(), 1, "never tried again");
}

#[tokio::test(start_paused = true)]
async fn fact_3_6_a_retry_after_of_60_loses_an_inline_query_and_300_a_callback() {
    for (kind, seconds, outcome) in [
        ("inline_query", "60", Outcome::Dropped),
        ("inline_query", "20", Outcome::Pending),
        ("callback_query", "300", Outcome::Dropped),
        ("callback_query", "100", Outcome::Pending),
    ] {
        let bench = Bench::start(move |_| Action::retry_after("503 Service Unavailable", seconds)).await;
        let updates = Enqueue { kinds: vec![kind.to_owned()], ..Enqueue::default() };
        let id = bench.make(&updates)[0];
        bench.run_for(0.1).await;
        assert_eq!(bench.delivery(id).outcome, outcome, "{kind} {seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn observed_no_answer_is_a_read_timeout_after_60_seconds_and_the_next_try_has_a_new_connection() {
    let bench = Bench::start(|_| Action::Silence).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(59.9).await;
    assert_eq!(bench.last_error().await, None);
    bench.run_for(100.0).await;
    assert_eq!(bench.last_error().await.as_deref(), Some("Read timeout expired"));
    assert_near(&bench.gaps(id), &[60.0, 62.0]);
    let requests = bench.requests(id);
    assert_ne!(requests[0].connection, requests[1].connection);
}

#[tokio::test(start_paused = true)]
async fn observed_a_reset_takes_a_new_connection_2_seconds_later_each_time_and_the_fourth_sends_after_4() {
    let bench = Bench::start(|request| if request.attempt <= 3 { Action::Reset } else { Action::ok() }).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(12.0).await;
    assert_eq!(bench.last_error().await.as_deref(), Some("Connection reset by peer"));
    let opened: Vec<f64> =
        bench.script.opened().windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert_near(&opened, &[2.0, 2.0, 2.0]);
    assert_near(&bench.gaps(id), &[2.0, 2.0, 4.0]);
}

#[tokio::test(start_paused = true)]
async fn observed_a_tls_close_with_tcp_left_open_is_not_noticed_within_30_seconds() {
    let bench =
        Bench::start(|request| if request.attempt == 1 { Action::CloseTlsOnly } else { Action::ok() }).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(30.0).await;
    assert_eq!(bench.requests(id).len(), 1);
    bench.run_for(31.0).await;
    assert_eq!(bench.last_error().await.as_deref(), Some("Read timeout expired"));
    assert_eq!(bench.delivery(id).outcome, Outcome::Delivered);
}

#[tokio::test(start_paused = true)]
async fn fact_2_a_clean_close_without_an_answer_is_a_failure_that_sets_no_last_error() {
    let bench = Bench::start(|request| if request.attempt == 1 { Action::Close } else { Action::ok() }).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(3.0).await;
    assert_eq!(bench.requests(id).len(), 2);
    assert_eq!(bench.last_error().await, None);
    let error = bench.delivery(id).attempts[0].error.clone();
    assert_eq!(error.as_deref(), Some("Webhook connection closed"));
}

#[tokio::test(start_paused = true)]
async fn observed_a_failing_head_blocks_its_chat_only() {
    let bench = Bench::start(|request| {
        if request.chat == -1 && request.attempt <= 4 {
            Action::status("500 Internal Server Error")
        } else {
            Action::ok()
        }
    })
    .await;
    let blocked = bench.enqueue(&[-1, -1, -1]);
    let free = bench.enqueue(&[-2, -2]);
    let start = bench.script.opened()[0];
    bench.run_for(29.0).await;
    let first = |id| (bench.requests(id)[0].at - start).as_secs_f64();
    let fifth = |id| (bench.requests(id)[4].at - start).as_secs_f64();
    assert_near(&[first(free[0]), first(free[1])], &[0.0, 0.0]);
    assert_near(
        &[first(blocked[0]), fifth(blocked[0]), first(blocked[1]), fifth(blocked[1]), first(blocked[2])],
        &[0.0, 14.0, 14.0, 28.0, 28.0],
    );
}

#[tokio::test(start_paused = true)]
async fn observed_twice_max_connections_failing_chats_stall_the_whole_bot() {
    let bench = Bench::start_with(
        |request| {
            if request.chat > -10 { Action::status("500 Internal Server Error") } else { Action::ok() }
        },
        &[("max_connections", "2")],
    )
    .await;
    bench.enqueue(&[-1, -2, -3, -4]);
    bench.run_for(3.0).await;
    let later = bench.enqueue(&[-11, -12, -13, -14]);
    bench.run_for(40.0).await;
    for id in later {
        assert!(bench.requests(id).is_empty(), "tried though the window is full");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_3_6_a_410_for_23_hours_deletes_the_webhook() {
    let bench = Bench::start(|_| Action::status("410 Gone")).await;
    bench.enqueue(&[-1]);
    bench.run_for(22.9 * 3600.0).await;
    assert_ne!(bench.info().await["url"], "");
    bench.run_for(0.2 * 3600.0).await;
    assert_eq!(bench.info().await["url"], "");
    assert_eq!(bench.pending(), 1, "the update waits for the next webhook");
}

#[tokio::test(start_paused = true)]
async fn fact_3_6_another_status_starts_the_23_hours_again() {
    let bench = Bench::start(|request| {
        if request.attempt == 500 {
            Action::status("500 Internal Server Error")
        } else {
            Action::status("410 Gone")
        }
    })
    .await;
    bench.enqueue(&[-1]);
    bench.run_for(23.2 * 3600.0).await;
    assert_ne!(bench.info().await["url"], "");
}

#[tokio::test(start_paused = true)]
async fn fact_3_6_connection_errors_dont_start_the_23_hours_again() {
    let bench =
        Bench::start(
            |request| {
                if request.attempt % 2 == 0 { Action::Reset } else { Action::status("410 Gone") }
            },
        )
        .await;
    bench.enqueue(&[-1]);
    bench.run_for(23.2 * 3600.0).await;
    assert_eq!(bench.info().await["url"], "");
}

#[tokio::test(start_paused = true)]
async fn fact_3_5_an_update_that_always_fails_is_dropped_when_its_day_is_over() {
    let bench = Bench::start(|_| Action::status("500 Internal Server Error")).await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(23.9 * 3600.0).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Pending);
    bench.run_for(0.2 * 3600.0).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Dropped);
}
