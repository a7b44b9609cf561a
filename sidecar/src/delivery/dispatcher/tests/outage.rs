//! A CRM that is down, and one that takes some updates and not others.

use super::*;

const DAY: Duration = Duration::from_hours(24);

fn add_lanes(queue: &Memory, lanes: i64, each: i64) {
    for lane in 0..lanes {
        queue.add(lane * each..(lane + 1) * each, lane);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crm_that_is_down_for_a_day_costs_no_update_and_nothing_piles_up() {
    let queue = Memory::default();
    add_lanes(&queue, 100, 3);
    let site = Site::with_queue(queue, |config| {
        config.delivery.concurrency = 8;
        config.delivery.max_attempts = 1;
    });
    site.crm.answers(|_| Err(DeliveryError::Unreachable));
    sleep(DAY).await;
    assert!(site.queue.state().most_in_hand <= 8, "{}", site.queue.state().most_in_hand);
    assert!(site.has(r#"breaker_state{webhook="crm/a"} 2"#));
    let asked = site.crm.state().asked.len();
    // one each 15 to 30 s
    assert!((2880..6000).contains(&asked), "{asked}");
    site.crm.answers(|_| Ok(()));
    site.crm.state().most = 0;
    site.emptied(Duration::from_secs(35)).await;
    assert_eq!(site.queue.state().dead.len(), 0);
    assert_eq!(site.crm.state().most, 8);
    let accepted = site.crm.accepted();
    for lane in 0..100 {
        let of_lane: Vec<_> = accepted.iter().filter(|id| **id / 3 == lane).copied().collect();
        assert_eq!(of_lane, [lane * 3, lane * 3 + 1, lane * 3 + 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_all_updates_are_the_crms_own_fault() {
    let queue = Memory::default();
    add_lanes(&queue, 100, 1);
    let site = Site::with_queue(queue, |config| {
        config.delivery.concurrency = 4;
        config.delivery.max_attempts = 1;
    });
    site.crm.answers(|_| Err(status(502)));
    sleep(DAY).await;
    // some more are tried, as these could be the only ones that it doesn't take
    assert_eq!(site.queue.state().most_in_hand, 32);
    site.crm.answers(|_| Ok(()));
    site.emptied(Duration::from_secs(35)).await;
    assert_eq!((site.queue.state().dead.len(), site.crm.accepted().len()), (0, 100));
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_the_crm_gets_more_by_and_by() {
    let queue = Memory::default();
    add_lanes(&queue, 200, 1);
    let site = Site::with_queue(queue, |config| config.delivery.concurrency = 32);
    site.crm.answers(|_| Err(DeliveryError::Unreachable));
    sleep(SECOND * 20).await;
    site.crm.answers(|_| Ok(()));
    site.crm.state().asked.clear();
    site.emptied(Duration::from_secs(35)).await;
    let asked: Vec<_> = site.crm.state().asked.iter().map(|(at, ..)| *at).collect();
    let begun = asked[0];
    let rounds = asked.chunk_by(|a, b| a == b).map(|round| (round[0] - begun, round.len()));
    let sizes: Vec<_> = rounds.map(|(_, size)| size).take(6).collect();
    assert_eq!(sizes, [1, 2, 4, 8, 16, 32]);
}

#[tokio::test(start_paused = true)]
async fn more_poisonous_lanes_than_concurrency_do_not_stop_the_others() {
    let queue = Memory::default();
    // the first ones, so that they are all that is given out at first
    add_lanes(&queue, 20, 1);
    queue.add(1000..1010, 1000);
    let site = Site::with_queue(queue, |config| {
        config.delivery.concurrency = 4;
        config.delivery.max_attempts = 3;
    });
    site.crm.answers(|id| if id < 1000 { Err(status(500)) } else { Ok(()) });
    site.until(Duration::from_mins(30), |site| site.crm.accepted().len() == 10).await;
    // and as soon as others are accepted, it is known whose fault it is
    let mut id = 2000;
    while site.queue.state().dead.len() < 20 {
        site.queue.add(id..id + 1, id);
        id += 1;
        sleep(SECOND).await;
        assert!(id < 2000 + 3600, "{}", site.queue.state().dead.len());
    }
    site.emptied(Duration::from_mins(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_poisonous_update_does_not_keep_a_crm_from_being_found_back() {
    let queue = Memory::default();
    queue.add(1..2, 1);
    queue.add(2..3, 2);
    queue.add(3..4, 3);
    let site = Site::with_queue(queue, |config| config.delivery.concurrency = 2);
    site.crm.answers(|_| Err(status(500)));
    sleep(Duration::from_mins(10)).await;
    site.crm.answers(|id| if id == 1 { Err(status(500)) } else { Ok(()) });
    site.until(Duration::from_mins(2), |site| site.crm.accepted().len() == 2).await;
    assert_eq!(site.queue.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_is_tried_soon() {
    let queue = Memory::default();
    add_lanes(&queue, 10, 1);
    let site = Site::with_queue(queue, |_| {});
    site.crm.answers(|_| Err(DeliveryError::Unreachable));
    sleep(Duration::from_mins(10)).await;
    // just after one was tried, so that the next time is far
    let asked = site.crm.state().asked.len();
    site.until(SECOND * 40, |site| site.crm.state().asked.len() > asked).await;
    sleep(2 * TAKES).await;
    site.crm.answers(|_| Ok(()));
    site.config.send(webhook(|config| config.upstream.port = 3001)).unwrap();
    site.emptied(2 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn what_expires_during_an_outage_is_dropped() {
    let site = Site::new(|config| config.delivery.concurrency = 2);
    site.crm.answers(|_| Err(DeliveryError::Unreachable));
    for id in 0..10 {
        let expires_at = Some(site.clock.now() + Duration::from_secs(150));
        site.queue.add_update(Update { expires_at, ..update(id, id) });
    }
    sleep(Duration::from_mins(20)).await;
    assert_eq!(site.queue.len(), 0);
    assert!(site.has(r#"deliveries_total{webhook="crm/a",outcome="expired"} 10"#));
}
