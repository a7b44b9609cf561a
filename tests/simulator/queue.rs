//! Numbers and limits of the queue (sections 3.6, 4 and 6).

use telegram_webhook_tests::telegram::{
    queue::{Discarded, MAX_EVENT_BYTES, NewUpdate, UpdateQueue},
    record::Outcome,
};

use crate::{bench::Bench, script::Action};

fn update(bytes: usize) -> NewUpdate {
    NewUpdate { kind: "message".to_owned(), stored: vec![b'x'; bytes], lane: 1, expires_at: 100.0 }
}

#[test]
fn fact_4_the_first_number_is_random_and_the_next_ones_are_contiguous() {
    let mut queue = UpdateQueue::default();
    let first = queue.push(&update(1), 0.0).unwrap();
    assert!((2_000_001..=1_000_000_000).contains(&first));
    assert_eq!(queue.push(&update(MAX_EVENT_BYTES + 1), 0.0), Err(Discarded::TooLarge));
    assert_eq!(queue.push(&update(1), 0.0), Ok(first + 1), "a rejected one takes no number");
    queue.clear();
    assert_eq!(queue.push(&update(1), 0.0), Ok(first + 2), "an empty queue goes on counting");
}

#[tokio::test(start_paused = true)]
async fn fact_4_at_two_thousand_million_the_queue_is_emptied_and_the_number_is_random_again() {
    let bench = Bench::idle(|_| Action::ok());
    bench.bot.lock().queue.set_next_id(1_999_999_999);
    let last = bench.enqueue(&[1])[0];
    assert_eq!(last, 1_999_999_999);
    let next = bench.enqueue(&[1])[0];
    assert!(next <= 1_000_000_000);
    assert_eq!(bench.pending(), 1);
    assert_eq!(bench.delivery(last).outcome, Outcome::Cleared);
}

#[test]
fn fact_6_an_update_has_at_most_524_288_bytes_and_its_body_27_more() {
    let mut queue = UpdateQueue::default();
    queue.set_next_id(700_000_000);
    let id = queue.push(&update(524_288), 0.0).unwrap();
    let (events, _) = queue.read(id, 1, 0.0);
    assert_eq!(events[0].body.len(), 524_288 + r#"{"update_id":700000000,"#.len() + 2);
    assert_eq!(queue.push(&update(524_289), 0.0), Err(Discarded::TooLarge));
}

#[test]
fn fact_3_6_a_backlog_holds_100_000_events() {
    let mut queue = UpdateQueue::default();
    for _ in 0..100_000 {
        queue.push(&update(1), 0.0).unwrap();
    }
    assert_eq!(queue.push(&update(1), 0.0), Err(Discarded::Full));
    let (events, _) = queue.read(0, 1, 0.0);
    queue.forget(events[0].id);
    assert!(queue.push(&update(1), 0.0).is_ok());
}

#[test]
fn fact_3_6_a_backlog_holds_128_mebibytes() {
    let mut queue = UpdateQueue::default();
    for _ in 0..256 {
        queue.push(&update(524_288), 0.0).unwrap();
    }
    assert_eq!(queue.push(&update(1), 0.0), Err(Discarded::Full));
    let (events, _) = queue.read(0, 1, 0.0);
    queue.forget(events[0].id);
    assert!(queue.push(&update(524_288), 0.0).is_ok());
}

#[test]
fn fact_4_what_is_too_old_is_never_queued_and_what_grew_old_is_never_read() {
    let mut queue = UpdateQueue::default();
    assert_eq!(queue.push(&update(1), 100.0), Err(Discarded::Expired));
    let id = queue.push(&update(1), 99.0).unwrap();
    let (events, expired) = queue.read(0, 10, 101.0);
    assert!(events.is_empty());
    assert_eq!(expired, [id]);
    assert!(queue.is_empty());
}
