//! Updates in hand that another sidecar may have by now.

use super::*;

const LOST: &str = r#"queue_leases_lost_total{webhook="crm/a"}"#;

impl Site {
    fn lose(&self, lane: i64) {
        self.queue.state().lost.insert(lane);
    }

    /// Whether so many were given up, and none of them is kept.
    fn gave_up(&self, number: usize) -> bool {
        self.has(&format!("{LOST} {number}")) && self.queue.in_hand() == 0
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_while_it_waited_is_not_tried_again() {
    let site = Site::new(|_| {});
    site.crm.answers(|_| Err(status_asking(503, 30)));
    site.queue.add(1..2, 1);
    site.until(SECOND, |site| !site.crm.state().asked.is_empty()).await;
    site.lose(1);
    // long before its turn: its lane may be ours again any time
    site.until(2 * FOLLOW, |site| site.gave_up(1)).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(site.crm.state().asked.len(), 1);
    assert_eq!(site.queue.state().dead.len(), 0);
    assert!(site.has(r#"breaker_state{webhook="crm/a"} 0"#));
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_just_now_is_not_tried_again() {
    let site = Site::new(|_| {});
    site.crm.answers(|_| Err(status(500)));
    site.queue.add(1..2, 1);
    let start = Instant::now();
    site.until(SECOND, |site| site.crm.state().asked.len() == 1).await;
    // between two looks at all of them, and before the second attempt
    sleep(Duration::from_millis(400)).await;
    site.lose(1);
    site.until(FOLLOW / 2, |site| site.gave_up(1)).await;
    assert!(start.elapsed() < FOLLOW, "at the attempt, not at the look: {:?}", start.elapsed());
    assert_eq!(site.crm.state().asked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_on_its_way_here_is_not_tried_at_all() {
    let queue = Memory::default();
    queue.state().lost_on_the_way.insert(1);
    queue.add(1..2, 1);
    queue.add(2..3, 2);
    let site = Site::with_queue(queue, |_| {});
    site.until(SECOND, |site| site.gave_up(1)).await;
    site.until(SECOND, |site| site.crm.accepted() == [2]).await;
    assert_eq!(site.crm.state().asked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_is_neither_set_aside_nor_settled() {
    for answer in [400, 500] {
        let site = Site::new(|config| config.delivery.max_attempts = 1);
        let queue = site.queue.clone();
        site.crm.answers(move |id| {
            if id > 1 {
                return Ok(());
            }
            queue.state().lost.insert(1);
            Err(status(answer))
        });
        site.queue.add(1..2, 1);
        for other in 2..9 {
            site.queue.add(other..other + 1, other);
        }
        site.until(2 * FOLLOW, |site| site.gave_up(1)).await;
        assert_eq!((site.queue.len(), site.queue.state().dead.len()), (1, 0), "{answer}");
        // it is ours again, and begins anew
        site.queue.state().lost.clear();
        site.crm.answers(|_| Ok(()));
        site.queue.add(10..11, 1);
        site.emptied(SECOND).await;
        assert_eq!(site.crm.accepted()[7..], [1, 10], "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_update_that_was_to_show_whether_the_crm_is_back_leaves_that_to_another() {
    let site = Site::new(|_| {});
    site.crm.answers(|_| Err(DeliveryError::Unreachable));
    for lane in 1..40 {
        site.queue.add(lane..lane + 1, lane);
    }
    site.until(SECOND, |site| site.has(r#"breaker_state{webhook="crm/a"} 2"#)).await;
    (1..40).for_each(|lane| site.lose(lane));
    site.queue.add(100..101, 100);
    site.crm.answers(|_| Ok(()));
    site.until(Duration::from_mins(1), |site| site.crm.accepted() == [100]).await;
    assert!(site.has(r#"breaker_state{webhook="crm/a"} 0"#));
}
