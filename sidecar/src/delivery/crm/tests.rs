//! Deliveries to a CRM whose every byte is scripted. How its answers are read: `tests/answers.rs`; what becomes of idle
//! connections: `tests/idle.rs`.

mod answers;
mod idle;
mod site;

use std::{panic::AssertUnwindSafe, pin::pin, time::SystemTime};

use futures::FutureExt as _;
use tokio::time::pause;

use self::site::{OK, Site, Socket, label, webhook, within};
use super::*;
use crate::{ingress::Reject, queue::millis};

#[tokio::test]
async fn updates_that_follow_each_other_share_a_connection() {
    let site = Site::new().await;
    let mut socket = site.first("1").await;
    for update in ["2", "3"] {
        let crm = async {
            let request = socket.request().await;
            assert!(request.ends_with(&format!("\r\n\r\n{update}")), "{request}");
            socket.say(OK).await;
        };
        let ((), delivered) = futures::join!(crm, site.deliver(update));
        delivered.unwrap();
    }
}

#[tokio::test]
async fn nothing_wakes_a_delivery_but_the_answer() {
    let site = Site::new().await;
    let mut socket = site.first("1").await;
    let crm = tokio::spawn(async move {
        socket.request().await;
        // time for whatever else might wake it
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        socket.say(OK).await;
        socket
    });
    let mut delivery = pin!(site.deliver("2"));
    let mut polls = 0;
    let delivered = std::future::poll_fn(|cx| {
        polls += 1;
        delivery.as_mut().poll(cx)
    });
    within(delivered).await.unwrap();
    assert_eq!(polls, 2, "one that sends and one that receives");
    crm.await.unwrap();
}

#[tokio::test]
async fn updates_at_the_same_time_have_connections_of_their_own_and_the_last_one_is_used_again() {
    let site = Site::new().await;
    let crm = async {
        let (mut one, mut other) = (site.accept().await, site.accept().await);
        one.request().await;
        other.request().await;
        one.say(OK).await;
        // the second one is put back after the first
        within(async {
            while !site.idle(&site.webhook) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        other.say(OK).await;
        (one, other)
    };
    let ((_one, mut other), first, second) =
        within(async { futures::join!(crm, site.deliver("1"), site.deliver("2")) }).await;
    first.and(second).unwrap();
    let crm = async {
        other.request().await;
        other.say(OK).await;
    };
    let ((), third) = futures::join!(crm, site.deliver("3"));
    third.unwrap();
}

#[tokio::test]
async fn a_crm_that_does_not_listen_is_unreachable() {
    let Site { listener, .. } = Site::new().await;
    let site = Site::new().await;
    let webhook = webhook(listener.local_addr().unwrap().port());
    drop(listener);
    assert_eq!(label(site.deliver_to(&webhook, "1").await), "crm_unreachable");
    // the update can be claimed again
    assert!(site.claim("1").await.is_ok());
}

#[tokio::test]
async fn a_crm_that_does_not_answer_is_given_up_with_its_connection() {
    let site = Site::new().await;
    let mut delivery = pin!(site.deliver("1"));
    let mut socket = site.first("0").await;
    tokio::select! {
        _ = socket.request() => {}
        result = &mut delivery => panic!("{result:?}"),
    }
    pause();
    let started = Instant::now();
    assert_eq!(label(delivery.await), "crm_timeout");
    let waited = started.elapsed();
    let limit = site.webhook.limits.upstream_timeout;
    assert!(waited.abs_diff(limit) < Duration::from_secs(1), "{waited:?}");
    socket.closed().await;
}

#[tokio::test]
async fn a_delivery_whose_caller_has_gone_is_finished_and_recorded() {
    let site = Site::new().await;
    let mut socket = {
        let mut delivery = Box::pin(site.deliver("1"));
        let crm = async {
            let mut socket = site.accept().await;
            socket.request().await;
            socket
        };
        let mut crm = pin!(crm);
        std::future::poll_fn(|cx| {
            assert!(delivery.as_mut().poll(cx).is_pending());
            crm.as_mut().poll(cx)
        })
        .await
    };
    site.tasks.close();
    assert_eq!(site.tasks.len(), 1);
    socket.say(OK).await;
    within(site.tasks.wait()).await;
    assert!(matches!(site.claim("1").await, Err(Reject::Duplicate)));
    let series = "upstream_duration_seconds_count{webhook=\"crm/a\",outcome=\"delivered\"} 1\n";
    assert!(site.metrics.encode().unwrap().contains(series));
}

#[tokio::test]
async fn a_delivery_counts_as_one_under_way_while_its_caller_waits() {
    let site = Site::new().await;
    let mut delivery = pin!(site.deliver("1"));
    assert!(futures::poll!(&mut delivery).is_pending());
    assert_eq!(site.tasks.len(), 1);
}

#[tokio::test]
async fn work_that_panicked_does_not_go_on_elsewhere() {
    let tasks = TaskTracker::new();
    let mut detached = Detached::new(async { panic!("as it was told") }, &tasks);
    let ended: Result<(), _> = AssertUnwindSafe(&mut detached).catch_unwind().await;
    assert!(ended.is_err());
    assert!(tasks.is_empty());
}

#[tokio::test]
async fn a_machine_that_slept_dates_its_deliveries_as_the_crm_does() {
    let mut site = Site::new().await;
    let (metrics, tasks, clock) =
        (site.metrics.clone(), site.tasks.clone(), Clock::that_slept(Duration::from_hours(1)));
    site.crm = Crm { shared: Arc::new(Shared { pool: Arc::default(), metrics, tasks, clock }) };
    let before = millis(SystemTime::now()) / 1000;
    let crm = async {
        let mut socket = site.accept().await;
        let request = socket.request().await;
        socket.say(OK).await;
        request
    };
    let (request, delivered) = within(async { futures::join!(crm, site.deliver("1")) }).await;
    delivered.unwrap();
    let (_, timestamp) = request.split_once("webhook-timestamp: ").unwrap();
    let timestamp: u64 = timestamp.lines().next().unwrap().parse().unwrap();
    assert!(timestamp >= before, "{timestamp} {before}");
}
