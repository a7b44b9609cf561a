//! What hostile clients do to a server, while Telegram goes on being served. The attackers have listed addresses, for which none of
//! the bounds on strangers holds.

use telegram_webhook_tests::{sidecar::DEADLINE, wait};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    client::Connection,
    fixture::{Fixture, HOST, PATH, TOKEN, TOKEN_HEADER, request, update},
};

/// A sidecar, and Telegram's connection to it.
struct Target {
    fixture: Fixture,
    telegram: Connection,
    /// Id of the last genuine update.
    last: i64,
}

impl Target {
    async fn start() -> anyhow::Result<Self> {
        let fixture = Fixture::start().await?;
        let telegram = fixture.connect().await?;
        let mut target = Self { fixture, telegram, last: 0 };
        target.assert_served().await?;
        Ok(target)
    }

    /// Fails unless genuine updates reach the CRM, over the open connection and over a new one, and nothing else does.
    async fn assert_served(&mut self) -> anyhow::Result<()> {
        let mut new = self.fixture.connect().await?;
        for connection in [&mut self.telegram, &mut new] {
            for _ in 0..3 {
                self.last += 1;
                let genuine = update(self.last);
                assert_eq!(connection.ask(request(PATH, TOKEN, &genuine)).await?.status, 200);
                assert_eq!(self.fixture.crm.received().await?.1, genuine);
            }
        }
        assert!(self.fixture.crm.has_received_nothing_more());
        Ok(())
    }
}

/// A head with a wrong token.
fn head(headers: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{TOKEN_HEADER}: wrong\r\n{headers}\r\n")
}

#[tokio::test]
async fn slow_heads_are_cut_off_while_telegram_is_served() -> anyhow::Result<()> {
    let mut target = Target::start().await?;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut connection = target.fixture.connect().await?;
        connection.send("POST / HTTP/1.1\r\n").await?;
        slow.push(connection);
    }
    target.assert_served().await?;
    for connection in &mut slow {
        connection.send("A: a\r\n").await?;
    }
    target.assert_served().await?;
    for connection in &mut slow {
        assert!(connection.is_closed().await);
    }
    target.fixture.wait_for_ended("head_timeout", 100).await?;
    target.assert_served().await
}

#[tokio::test]
async fn slow_bodies_are_not_waited_for_while_telegram_is_served() -> anyhow::Result<()> {
    let mut target = Target::start().await?;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut connection = target.fixture.connect().await?;
        let answer = connection.ask(head("Content-Length: 1000000\r\n") + "{").await?;
        assert_eq!(answer.status, 401);
        slow.push(connection);
    }
    target.assert_served().await?;
    for connection in &mut slow {
        assert!(connection.is_closed().await);
    }
    target.assert_served().await
}

#[tokio::test]
async fn thousands_of_silent_connections_keep_nobody_out() -> anyhow::Result<()> {
    let mut target = Target::start().await?;
    let mut silent = Vec::new();
    for n in 0..2000 {
        silent.push(TcpStream::connect(target.fixture.sidecar.webhook_address).await?);
        if n % 500 == 0 {
            target.assert_served().await?;
        }
    }
    target.assert_served().await?;
    // all but those that there are places for: some sooner, some when their time for the handshake is over
    wait::until("the end of silent connections", DEADLINE, async || {
        let fixture = &target.fixture;
        let ended = fixture.ended("evicted").await? + fixture.ended("handshake_timeout").await?;
        Ok((ended >= 2000 - 512).then_some(()))
    })
    .await?;
    assert_eq!(target.fixture.ended("over_limit").await?, 0);
    target.assert_served().await
}

#[tokio::test]
async fn handshakes_that_are_never_finished_are_left_while_telegram_is_served() -> anyhow::Result<()> {
    let mut target = Target::start().await?;
    let mut half_open = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(target.fixture.sidecar.webhook_address).await?;
        // the beginning of a greeting of 512 bytes
        stream.write_all(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03").await?;
        half_open.push(stream);
    }
    target.assert_served().await?;
    target.fixture.wait_for_ended("handshake_timeout", 200).await?;
    target.assert_served().await
}

#[tokio::test]
async fn what_is_no_tls_fails_the_handshake_while_telegram_is_served() -> anyhow::Result<()> {
    let mut target = Target::start().await?;
    let garbage: Vec<u8> = (0..4096_u32).map(|n| (n * 31 % 251) as u8).collect();
    let cases: [&[u8]; 6] = [
        &garbage,
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\xff\xff",
        b"\x80\x2e\x01\0\x02\0\x15\0\0\0\x10",
        &[0; 1000],
    ];
    for bytes in cases {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(target.fixture.sidecar.webhook_address).await?;
            // it may be refused before all of it is written
            drop(stream.write_all(bytes).await);
        }
        target.assert_served().await?;
    }
    target.fixture.wait_for_ended("handshake_failed", 120).await
}

#[tokio::test]
async fn what_is_no_http_is_refused_with_the_security_header_or_closed() -> anyhow::Result<()> {
    let mut target = Target::start().await?;
    let many_headers = (0..10_000).map(|n| format!("h{n}: v\r\n")).collect::<Vec<_>>().concat();
    let long_target = format!("POST /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(20_000));
    for (bytes, status) in [
        (head(&many_headers), Some(431)),
        (head(&format!("A: {}\r\n", "a".repeat(20_000))), Some(431)),
        (long_target, Some(431)),
        ("\0\x01\x02\r\n\r\n".to_owned(), Some(400)),
        ("POST /\u{1} HTTP/1.1\r\n\r\n".to_owned(), Some(400)),
        ("POST / HTTP/9.9\r\n\r\n".to_owned(), Some(400)),
        ("POST / HTTP/1.1\r\nBad Name: v\r\n\r\n".to_owned(), Some(400)),
        ("POST / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n".to_owned(), Some(400)),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), None),
    ] {
        let mut connection = target.fixture.connect().await?;
        // it may be refused before all of it is written
        drop(connection.send(&bytes).await);
        let start: String = bytes.chars().take(40).collect();
        if let Some(status) = status {
            let answer = connection.answer().await?;
            assert_eq!(answer.status, status, "{start:?}");
            answer.assert_bare();
        }
        assert!(connection.is_closed().await, "{start:?}");
        target.assert_served().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_request_with_two_lengths_smuggles_no_second_one() -> anyhow::Result<()> {
    let mut target = Target::start().await?;
    let smuggled = String::from_utf8(request(PATH, TOKEN, update(1_000_000)))?;
    let with = |headers: &str, body: &str| {
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{TOKEN_HEADER}: {TOKEN}\r\n{headers}\r\n{body}{smuggled}"
        )
    };
    // refused, or closed without an answer
    for (headers, body) in [
        ("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"),
        ("Content-Length: 2, 2\r\n", "{}"),
        ("Content-Length: +2\r\n", "{}"),
        ("Content-Length: -2\r\n", "{}"),
        ("Content-Length: 0x2\r\n", "{}"),
        ("Content-Length : 2\r\n", "{}"),
        ("Transfer-Encoding: gzip\r\n", "{}"),
        ("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "x\r\n{}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "-2\r\n{}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "2\r\n{}xx0\r\n\r\n"),
    ] {
        let mut connection = target.fixture.connect().await?;
        connection.send(with(headers, body)).await?;
        if let Ok(answer) = connection.answer().await {
            assert_eq!(answer.status, 400, "{headers:?} {body:?}");
        }
        assert!(connection.is_closed().await, "{headers:?} {body:?}");
        target.assert_served().await?;
    }
    // both: chunks count, and nothing that follows does
    for headers in [
        "Content-Length: 50\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
    ] {
        let mut connection = target.fixture.connect().await?;
        target.last += 1;
        let chunked = update(target.last);
        let body = format!("{:x}\r\n{chunked}\r\n0\r\n\r\n", chunked.len());
        let answer = connection.ask(with(headers, &body)).await?;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{headers:?}");
        assert!(connection.is_closed().await, "{headers:?}");
        assert_eq!(target.fixture.crm.received().await?.1, chunked);
        target.assert_served().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_huge_body_is_refused_by_what_it_announces() -> anyhow::Result<()> {
    let mut target = Target::start().await?;
    for (token, status) in [(TOKEN, 413), ("wrong", 401)] {
        let head = head("Content-Length: 1073741824\r\n").replace("wrong", token);
        let mut connection = target.fixture.connect().await?;
        assert_eq!(connection.ask(head).await?.status, status);
        target.assert_served().await?;
        // it sends on regardless, until nobody takes it any more
        let part = vec![b'x'; 64 << 10];
        let mut sent = 0_usize;
        while sent < 1 << 30 && connection.send(&part).await.is_ok() {
            sent += part.len();
        }
        assert!(sent < 64 << 20, "{sent} bytes were taken");
        target.assert_served().await?;
    }
    Ok(())
}
