//! getUpdates beside the webhook (sections 1.1, 8 and 9).

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    bench::{Bench, URL},
    script::Action,
};

const ACTIVE: &str = "Conflict: can't use getUpdates method while webhook is active; \
                      use deleteWebhook to delete the webhook first";

#[tokio::test(start_paused = true)]
async fn fact_8_get_updates_conflicts_with_a_webhook_and_a_second_conflict_is_answered_3_seconds_late() {
    let bench = Bench::start(|_| Action::ok()).await;
    let start = Instant::now();
    let first = bench.call("getUpdates", &[]).await;
    assert_eq!((first.status, first.description().as_str()), (409, ACTIVE));
    assert_eq!(start.elapsed().as_secs(), 0);
    assert_eq!(bench.call("getUpdates", &[]).await.status, 409);
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn fact_9_get_updates_eats_the_queue_of_an_empty_slot() {
    let bench = Bench::idle(|_| Action::ok());
    let ids = bench.enqueue(&[1, 2, 3]);
    let answer = bench.call("getUpdates", &[("limit", "2")]).await.json();
    assert_eq!(answer["result"].as_array().unwrap().len(), 2);
    assert_eq!(bench.pending(), 3, "still there until confirmed");
    let offset = (ids[1] + 1).to_string();
    let answer = bench.call("getUpdates", &[("offset", &offset)]).await.json();
    assert_eq!(answer["result"][0]["update_id"], ids[2]);
    assert_eq!(bench.pending(), 1);
    bench.call("getUpdates", &[("offset", "-1")]).await;
    assert_eq!(bench.pending(), 1);
}

#[tokio::test(start_paused = true)]
async fn fact_1_1_set_webhook_ends_a_running_poll() {
    let bench = Arc::new(Bench::idle(|_| Action::ok()));
    let poll = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.call("getUpdates", &[("timeout", "30")]).await })
    };
    sleep(Duration::from_secs(1)).await;
    bench.set(&[("url", URL)]).await;
    let answer = poll.await.unwrap();
    assert_eq!(
        (answer.status, answer.description().as_str()),
        (409, "Conflict: terminated by setWebhook request")
    );
}

#[tokio::test(start_paused = true)]
async fn fact_8_a_second_poll_ends_the_first() {
    let bench = Arc::new(Bench::idle(|_| Action::ok()));
    let poll = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.call("getUpdates", &[("timeout", "30")]).await })
    };
    sleep(Duration::from_secs(1)).await;
    bench.call("getUpdates", &[]).await;
    let description = poll.await.unwrap().description();
    assert!(description.starts_with("Conflict: terminated by other getUpdates request"), "{description}");
}

#[tokio::test(start_paused = true)]
async fn a_poll_waits_for_an_update_and_answers_at_once_when_it_comes() {
    let bench = Arc::new(Bench::idle(|_| Action::ok()));
    let start = Instant::now();
    let poll = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.call("getUpdates", &[("timeout", "30")]).await })
    };
    sleep(Duration::from_secs(5)).await;
    let id = bench.enqueue(&[1])[0];
    assert_eq!(poll.await.unwrap().json()["result"][0]["update_id"], id);
    assert_eq!(start.elapsed().as_secs(), 5);
}
