//! Connections between updates: which are used again, and which requests are sent again.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{advance, sleep},
};

use super::{
    super::pool::{IDLE_TIMEOUT, MAX_IDLE},
    *,
};

#[tokio::test]
async fn an_update_whose_idle_connection_was_closed_goes_over_a_new_one() {
    for last_words in ["", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"] {
        let site = Site::new().await;
        let mut stale = site.first("1").await;
        stale.say(last_words).await;
        stale.0.shutdown().await.unwrap();
        site.see().await;
        let mut socket = site.first("2").await;
        // it went into none but the new one
        stale.closed().await;
        let crm = async {
            assert!(socket.request().await.ends_with("\r\n\r\n3"));
            socket.say(OK).await;
        };
        let ((), third) = futures::join!(crm, site.deliver("3"));
        third.unwrap();
    }
}

#[tokio::test]
async fn an_update_that_the_crm_may_have_is_not_sent_again() {
    let site = Site::new().await;
    let mut socket = site.first("1").await;
    let crm = async {
        assert!(socket.request().await.ends_with("\r\n\r\n2"));
        drop(socket);
    };
    let ((), result) = within(async { futures::join!(crm, site.deliver("2")) }).await;
    assert_eq!(label(result), "crm_broken");
    assert!(futures::poll!(pin!(site.listener.accept())).is_pending());
}

#[tokio::test]
async fn a_new_connection_that_is_closed_at_once_is_not_tried_again() {
    let site = Site::new().await;
    let crm = async { drop(site.accept().await) };
    let ((), result) = within(async { futures::join!(crm, site.deliver("1")) }).await;
    assert_eq!(label(result), "crm_broken");
    assert!(futures::poll!(pin!(site.listener.accept())).is_pending());
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time_and_not_before() {
    let site = Site::new().await;
    let socket = site.first("1").await;
    pause();
    sleep(IDLE_TIMEOUT.mul_f32(0.9)).await;
    assert!(site.idle(&site.webhook));
    sleep(IDLE_TIMEOUT.mul_f32(0.1)).await;
    assert!(!site.idle(&site.webhook));
    socket.closed().await;
}

#[tokio::test]
async fn an_idle_connection_that_is_too_old_is_not_used_even_if_it_is_still_there() {
    let site = Site::new().await;
    let _old = site.first("1").await;
    pause();
    let now = Instant::now() + IDLE_TIMEOUT;
    let address = site.webhook.upstream.address;
    assert!(site.crm.shared.pool.take(address, now).is_none());
    assert!(site.crm.shared.pool.take(address, now - Duration::from_secs(1)).is_some());
}

#[tokio::test]
async fn a_connection_that_is_used_again_is_kept_for_longer() {
    let site = Site::new().await;
    let mut socket = site.first("1").await;
    pause();
    advance(Duration::from_secs(3)).await;
    let address = site.webhook.upstream.address;
    let connection = site.crm.shared.pool.take(address, Instant::now()).unwrap();
    site.crm.shared.pool.put(address, connection);
    sleep(Duration::from_secs(2)).await;
    assert!(site.idle(&site.webhook), "5 s after the first use, 2 s after the second");
    sleep(Duration::from_secs(2)).await;
    assert!(!site.idle(&site.webhook));
    assert_eq!(socket.0.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn each_address_has_connections_of_its_own() {
    let (site, other) = (Site::new().await, Site::new().await);
    let _socket = site.first("1").await;
    let crm = async {
        let mut socket = other.accept().await;
        assert!(socket.request().await.ends_with("\r\n\r\n2"));
        socket.say(OK).await;
        socket
    };
    let delivery = site.deliver_to(&other.webhook, "2");
    let (_other_socket, result) = within(async { futures::join!(crm, delivery) }).await;
    result.unwrap();
    assert!(site.idle(&site.webhook) && site.idle(&other.webhook));
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_their_number() {
    let site = Site::new().await;
    let address = site.webhook.upstream.address;
    let mut sockets = Vec::new();
    for _ in 0..=MAX_IDLE {
        let connection = Connection::open(address).await.unwrap();
        site.crm.shared.pool.put(address, connection);
        sockets.push(site.accept().await);
    }
    sockets.pop().unwrap().closed().await;
    let kept = (0..=MAX_IDLE).filter_map(|_| site.crm.shared.pool.take(address, Instant::now()));
    assert_eq!(kept.count(), MAX_IDLE);
}
