//! What the CRM may answer, and how.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    super::{connection::MAX_BUFFER, discard::MAX_DISCARDED},
    *,
};

/// More than two sockets hold of what nobody reads.
const SOCKET_BUFFERS: usize = 64 << 20;

/// The result of an update that is answered so, and the connection.
async fn answered(site: &Site, answer: &str) -> (&'static str, Socket) {
    let crm = async {
        let mut socket = site.accept().await;
        socket.request().await;
        socket.say(answer).await;
        socket
    };
    let (socket, result) = within(async { futures::join!(crm, site.deliver("1")) }).await;
    (label(result), socket)
}

/// Waits until there is an idle connection.
async fn settled(site: &Site) {
    within(async {
        while !site.idle(&site.webhook) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn whole_answers_leave_their_connection_to_the_next_update() {
    for answer in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n3\r\nOK!\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nOK",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let site = Site::new().await;
        let (result, mut socket) = answered(&site, answer).await;
        assert_eq!(result, "delivered", "{answer}");
        assert!(site.idle(&site.webhook), "at once: {answer}");
        let crm = async {
            socket.request().await;
            socket.say(OK).await;
        };
        let ((), next) = within(async { futures::join!(crm, site.deliver("2")) }).await;
        next.unwrap();
    }
}

#[tokio::test]
async fn answers_that_end_their_connection_are_answers_all_the_same() {
    for (answer, outcome) in [
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "delivered"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK", "delivered"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", "delivered"),
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n", "crm_status"),
        ("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "crm_status"),
        ("no HTTP\r\n\r\n", "crm_broken"),
    ] {
        let site = Site::new().await;
        let (result, socket) = answered(&site, answer).await;
        assert_eq!(result, outcome, "{answer}");
        assert!(!site.idle(&site.webhook), "{answer}");
        socket.closed().await;
    }
}

#[tokio::test]
async fn a_head_beyond_all_measure_breaks_the_delivery() {
    let site = Site::new().await;
    let crm = async {
        let mut socket = site.accept().await;
        socket.request().await;
        let value = "a".repeat(2 * MAX_BUFFER);
        let head = format!("HTTP/1.1 200 OK\r\nA: {value}\r\nContent-Length: 0\r\n\r\n");
        // may be closed before all of it is written
        drop(socket.0.write_all(head.as_bytes()).await);
        socket
    };
    let (_socket, result) = within(async { futures::join!(crm, site.deliver("1")) }).await;
    assert_eq!(label(result), "crm_broken");
}

#[tokio::test]
async fn an_answer_before_the_whole_update_was_read_counts() {
    let site = Site::new().await;
    // more than the buffers of both ends hold
    let update = "~".repeat(16 << 20);
    let crm = async {
        let mut socket = site.accept().await;
        socket.0.read_u8().await.unwrap();
        socket.say(OK).await;
        socket
    };
    let (mut socket, result) = within(async { futures::join!(crm, site.deliver(&update)) }).await;
    result.unwrap();
    assert!(!site.idle(&site.webhook), "the rest of the update is still to be sent");
    let mut sink = tokio::io::sink();
    tokio::select! {
        () = settled(&site) => {}
        end = tokio::io::copy(&mut socket.0, &mut sink) => panic!("{end:?}"),
    }
}

#[tokio::test]
async fn the_rest_of_an_answer_is_not_waited_for_but_read() {
    let site = Site::new().await;
    let (result, mut socket) = answered(&site, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").await;
    assert_eq!(result, "delivered");
    assert!(!site.idle(&site.webhook));
    assert_eq!(site.tasks.len(), 1, "under way, for the shutdown");
    socket.say("cd").await;
    settled(&site).await;
}

#[tokio::test]
async fn a_rest_that_does_not_come_costs_the_connection_after_a_while() {
    let site = Site::new().await;
    let (result, socket) = answered(&site, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").await;
    assert_eq!(result, "delivered");
    pause();
    let started = Instant::now();
    site.tasks.close();
    site.tasks.wait().await;
    let waited = started.elapsed();
    assert!(waited.abs_diff(DISCARD_TIMEOUT) < Duration::from_secs(1), "{waited:?}");
    socket.closed().await;
}

#[tokio::test]
async fn a_rest_that_is_too_long_costs_the_connection() {
    let site = Site::new().await;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", usize::MAX >> 1);
    let (result, mut socket) = answered(&site, &head).await;
    assert_eq!(result, "delivered");
    let part = [b'a'; 4096];
    let written = within(async {
        let mut written = 0;
        while socket.0.write_all(&part).await.is_ok() {
            written += part.len();
            assert!(written < SOCKET_BUFFERS, "it goes on reading");
            // the other end reads meanwhile
            tokio::task::yield_now().await;
        }
        written
    })
    .await;
    assert!(written >= MAX_DISCARDED, "{written}");
    site.tasks.close();
    within(site.tasks.wait()).await;
    assert!(!site.idle(&site.webhook));
}
