//! How a dispatcher ends.

use super::{site::GRACE, *};

#[tokio::test(start_paused = true)]
async fn at_the_end_the_queue_is_emptied_and_closed() {
    let queue = Memory::default();
    queue.add(0..30, 1);
    queue.add(30..60, 2);
    let site = Site::with_queue(queue, |_| {});
    sleep(2 * TAKES).await;
    let (queue, crm, took) = site.stop().await;
    assert_eq!((queue.len(), crm.accepted().len()), (0, 60));
    assert!(queue.state().closed);
    assert!(took < SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_others_share_is_left_to_them_once_what_is_under_way_is_finished() {
    let queue = memory::InMemory::<true>::default();
    queue.add(0..30, 1);
    queue.add(30..60, 2);
    queue.add(60..70, 3);
    let site = Site::with_queue(queue, |_| {});
    site.crm.answers(|id| if id >= 60 { Err(status(500)) } else { Ok(()) });
    // the third lane waits for its next attempt
    sleep(5 * TAKES / 2).await;
    let (queue, crm, took) = site.stop().await;
    assert_eq!((queue.len(), crm.accepted().len(), queue.in_hand()), (64, 6, 0));
    assert_eq!(crm.times_of(60, Instant::now()).len(), 1);
    assert!(queue.state().closed);
    assert!(took < TAKES, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_fails_is_tried_again_until_the_deadline() {
    let queue = Memory::default();
    queue.add(1..2, 1);
    let site = Site::with_queue(queue, |_| {});
    let mut attempts = 0;
    site.crm.answers(move |_| {
        attempts += 1;
        if attempts < 4 { Err(status(500)) } else { Ok(()) }
    });
    sleep(2 * TAKES).await;
    let (queue, _, took) = site.stop().await;
    assert_eq!(queue.len(), 0);
    assert!(took > 3 * SECOND && took < 6 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn with_a_crm_that_is_down_nobody_waits_for_the_deadline() {
    let queue = Memory::default();
    for lane in 0..10 {
        queue.add(lane..lane + 1, lane);
    }
    let site = Site::with_queue(queue, |_| {});
    site.crm.answers(|_| Err(DeliveryError::Unreachable));
    sleep(Duration::from_mins(1)).await;
    let (queue, _, took) = site.stop().await;
    assert_eq!((queue.len(), queue.in_hand()), (10, 0), "given back");
    assert!(queue.state().closed);
    assert!(took < SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_the_deadline_is_given_back() {
    let queue = Memory::default();
    queue.add(0..10_000, 1);
    let site = Site::with_queue(queue, |_| {});
    let (queue, crm, took) = site.stop().await;
    assert!(took <= GRACE && took > GRACE / 2, "{took:?}");
    assert_eq!(queue.len() + crm.accepted().len(), 10_000);
    assert_eq!(queue.in_hand(), 0);
    assert!(queue.state().closed);
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_is_closed_soon() {
    let site = Site::new(|_| {});
    sleep(SECOND).await;
    let (queue, _, took) = site.stop().await;
    assert!(queue.state().closed && took < SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_queue_and_so_do_its_gauges() {
    let site = Site::new(|_| {});
    sleep(SECOND).await;
    let metrics = site.metrics.clone();
    assert!(metrics.encode().unwrap().contains("queue_updates{"));
    site.queue.close().await.unwrap();
    site.ended().await;
    assert!(!metrics.encode().unwrap().contains("queue_updates{"));
}
