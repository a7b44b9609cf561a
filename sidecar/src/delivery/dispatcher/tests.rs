//! On the paused clock, with a queue in memory. What a CRM sees over HTTP: the tests of [`Crm`]. An outage: `tests/outage.rs`; the end:
//! `tests/stop.rs`; what is lost to another sidecar: `tests/lost.rs`.

mod lost;
mod memory;
mod outage;
mod site;
mod stop;

use std::time::SystemTime;

use tokio::time::sleep;

use self::{
    memory::{Memory, update},
    site::{Site, TAKES, status, status_asking, webhook},
};
use super::*;
use crate::queue::{QueueError, Reason};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn lanes_are_delivered_side_by_side_and_each_in_order() {
    let queue = Memory::default();
    for lane in 0..20 {
        queue.add(lane * 10..lane * 10 + 10, lane);
    }
    let site = Site::with_queue(queue, |config| config.delivery.concurrency = 8);
    site.emptied(SECOND).await;
    let accepted = site.crm.accepted();
    for lane in 0..20 {
        let of_lane: Vec<_> = accepted.iter().filter(|id| **id / 10 == lane).copied().collect();
        assert_eq!(of_lane, (lane * 10..lane * 10 + 10).collect::<Vec<_>>());
    }
    assert_eq!(site.crm.state().most, 8);
    assert!(site.has(r#"deliveries_total{webhook="crm/a",outcome="delivered"} 200"#));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_comes_later_is_delivered_at_once() {
    let site = Site::new(|_| {});
    sleep(Duration::from_hours(1)).await;
    site.queue.add(1..2, 1);
    let started = Instant::now();
    site.emptied(SECOND).await;
    assert!(started.elapsed() <= 2 * TAKES, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_poisonous_update_is_set_aside_after_its_attempts_and_its_lane_goes_on() {
    let queue = Memory::default();
    queue.add(1..3, 1);
    let site = Site::with_queue(queue, |config| config.delivery.max_attempts = 4);
    site.crm.answers(|id| if id == 1 { Err(status(500)) } else { Ok(()) });
    let healthy = async {
        for id in 100.. {
            site.queue.add(id..id + 1, id);
            sleep(SECOND / 10).await;
        }
    };
    let set_aside = site.until(Duration::from_mins(5), |site| site.crm.accepted().contains(&2));
    tokio::select! { () = healthy => {}, () = set_aside => {} }
    let dead = site.queue.state().dead.clone();
    let [(dead, reason)] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!(dead.update_id, Some(1));
    // of the first nobody knows yet whose fault it is
    assert_eq!(*reason, Reason::Exhausted { attempts: 5, last: "the CRM answered 500".to_owned() });
    let attempts: Vec<_> =
        site.crm.state().asked.iter().filter(|(_, id, _)| *id == 1).map(|(.., attempt)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 5]);
    assert!(site.has(r#"dead_lettered_total{webhook="crm/a",reason="exhausted"} 1"#));
    assert!(site.has(r#"deliveries_total{webhook="crm/a",outcome="dead_lettered"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn an_update_that_fails_waits_longer_each_time() {
    let site = Site::new(|_| {});
    site.crm.answers(|_| Err(status(500)));
    let start = Instant::now();
    site.queue.add(1..2, 1);
    site.until(Duration::from_mins(1), |site| site.crm.state().asked.len() == 5).await;
    let takes = TAKES.as_millis();
    let waits = [500, 1000, 2000, 4000].into_iter();
    let expected = waits.scan(0, |at, wait| {
        *at += takes + wait;
        Some(*at)
    });
    for (at, expected) in site.crm.times_of(1, start).into_iter().skip(1).zip(expected) {
        assert!(at.abs_diff(expected) < 10, "{at} {expected}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_crm_says_when_it_wants_to_be_asked_again() {
    let site = Site::new(|_| {});
    site.crm.answers(|_| Err(status_asking(503, 90)));
    let start = Instant::now();
    site.queue.add(1..2, 1);
    site.until(Duration::from_mins(10), |site| site.crm.state().asked.len() == 4).await;
    for (attempt, at) in site.crm.times_of(1, start).into_iter().enumerate() {
        assert!(at.abs_diff(attempt as u128 * 90_010) < 50, "{attempt} {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_crm_refuses_for_good_is_set_aside_at_once() {
    let queue = Memory::default();
    queue.add(1..4, 1);
    let site = Site::with_queue(queue, |_| {});
    site.crm.answers(|id| if id == 2 { Err(status(422)) } else { Ok(()) });
    site.emptied(SECOND).await;
    assert_eq!(site.crm.accepted(), [1, 3]);
    assert_eq!(site.queue.state().dead[0].1, Reason::Refused(422));
    assert!(site.has(r#"dead_lettered_total{webhook="crm/a",reason="refused"} 1"#));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_delivered() {
    let site = Site::new(|_| {});
    site.crm.answers(|id| if id == 2 { Err(status(500)) } else { Ok(()) });
    let now = site.clock.now();
    let expiring = |id: i64, at: SystemTime| {
        site.queue.add_update(Update { expires_at: Some(at), ..update(id, id) });
    };
    expiring(1, now);
    // in hand and failing
    expiring(2, now + Duration::from_secs(5));
    expiring(3, now + Duration::from_secs(1));
    let started = Instant::now();
    site.emptied(Duration::from_secs(6)).await;
    assert_eq!(started.elapsed().as_secs(), 5, "as soon as it expires");
    assert_eq!(site.crm.accepted(), [3]);
    assert_eq!(site.crm.times_of(1, started), [0; 0]);
    assert!(site.has(r#"deliveries_total{webhook="crm/a",outcome="expired"} 2"#));
    assert_eq!(site.queue.state().dead.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_update_is_told_when_it_has_left_the_queue() {
    let site = Site::new(|_| {});
    site.crm.answers(|id| if id == 1 { Ok(()) } else { Err(status(400)) });
    let (delivered, refused) = (site.settlements.settled(1), site.settlements.settled(2));
    site.queue.add(1..3, 1);
    let told = timeout_at(Instant::now() + SECOND, async { delivered.await && refused.await });
    assert_eq!(told.await, Ok(true));
    assert_eq!(site.queue.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_holds_from_the_next_attempt_on() {
    let queue = Memory::default();
    for lane in 0..100 {
        queue.add(lane..lane + 1, lane);
    }
    let site = Site::with_queue(queue, |config| config.delivery.concurrency = 2);
    sleep(5 * TAKES).await;
    assert_eq!(site.crm.state().most, 2);
    site.config.send(webhook(|config| config.delivery.concurrency = 16)).unwrap();
    site.emptied(SECOND).await;
    assert_eq!(site.crm.state().most, 16);
    assert_eq!(site.crm.state().asked.len(), 100, "none was lost, none twice");
}

#[tokio::test(start_paused = true)]
async fn a_new_version_holds_for_the_first_update_after_a_pause() {
    let site = Site::new(|config| config.delivery.concurrency = 2);
    sleep(FOLLOW / 2).await;
    site.config.send(webhook(|config| config.delivery.concurrency = 16)).unwrap();
    site.queue.add(1..2, 1);
    site.emptied(SECOND).await;
    assert_eq!(site.crm.state().versions, [16]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_is_asked_again_later() {
    let queue = Memory::default();
    queue.state().failures.extend([
        QueueError::Unavailable("gone".to_owned()),
        QueueError::Unavailable("gone".to_owned()),
        QueueError::Broken("torn".to_owned()),
    ]);
    queue.add(1..2, 1);
    let started = Instant::now();
    let site = Site::with_queue(queue, |_| {});
    site.emptied(SECOND).await;
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_millis(750), "{waited:?}");
    assert!(site.has(r#"queue_errors_total{webhook="crm/a",error="unavailable"} 2"#));
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_did_not_hear_is_delivered_once_more() {
    let queue = Memory::default();
    queue.state().settle_failures.push_back(QueueError::Unavailable("gone".to_owned()));
    queue.add(1..2, 1);
    let site = Site::with_queue(queue, |_| {});
    site.emptied(SECOND).await;
    let asked: Vec<_> = site.crm.state().asked.iter().map(|(_, id, attempt)| (*id, *attempt)).collect();
    assert_eq!(asked, [(1, 1), (1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn the_queues_numbers_are_shown_and_old_dead_letters_forgotten() {
    let site = Site::new(|config| config.delivery.dead_letter_retention_hours = 48);
    site.crm.answers(|_| Err(DeliveryError::Unreachable));
    let received_at = site.clock.now() - Duration::from_secs(10);
    site.queue.add_update(Update { received_at, ..update(1, 1) });
    sleep(Duration::from_millis(20_100)).await;
    assert!(site.has(r#"queue_updates{webhook="crm/a"} 1"#));
    assert!(
        site.has(r#"queue_oldest_age_seconds{webhook="crm/a"} 30.0"#),
        "{}",
        site.metrics.encode().unwrap()
    );
    let started = site.clock.now();
    sleep(Duration::from_mins(150)).await;
    let forgotten = site.queue.state().forgotten.clone();
    assert_eq!(forgotten.len(), 3, "at the beginning and each hour");
    let last = started + Duration::from_hours(2) - Duration::from_hours(48);
    assert!(forgotten[2].duration_since(last).unwrap_or_default() < Duration::from_mins(1));
    assert!(last.duration_since(forgotten[2]).unwrap_or_default() < Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_set_aside_is_tried_again_ever_later_and_holds_up_no_other() {
    let queue = Memory::default();
    queue.add(1..2, 1);
    let full = || QueueError::Full("dead letters take their whole share".to_owned());
    queue.state().settle_failures.extend((0..10_000).map(|_| full()));
    let site = Site::with_queue(queue, |_| {});
    site.crm.answers(|_| Err(status(422)));
    sleep(Duration::from_mins(1)).await;
    let asked = site.crm.state().asked.len();
    assert!((5..60).contains(&asked), "{asked}");
    site.queue.state().settle_failures.clear();
    site.crm.answers(|id| if id == 1 { Err(status(422)) } else { Ok(()) });
    site.queue.add(2..12, 2);
    site.until(SECOND, |site| site.crm.accepted().len() == 10).await;
    site.emptied(Duration::from_mins(1)).await;
    assert_eq!(site.queue.state().dead[0].1, Reason::Refused(422));
}
