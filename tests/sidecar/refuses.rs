//! What does not come from Telegram, or not as it should, never reaches the CRM.

use telegram_webhook_sidecar_config::Limits;

use crate::{
    client::Answer,
    fixture::{Fixture, HOST, PATH, TOKEN, TOKEN_HEADER, UPDATE, request, slot},
    series,
};

/// Fails unless the request was refused with this status and nothing came through.
fn assert_refused(fixture: &Fixture, answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    answer.assert_bare();
    assert!(fixture.crm.has_received_nothing_more());
}

fn with_headers(headers: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{headers}Content-Length: 2\r\n\r\n{{}}")
}

#[tokio::test]
async fn a_wrong_missing_repeated_or_too_long_token_is_unauthorized() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let header = |token: &str| format!("{TOKEN_HEADER}: {token}\r\n");
    let cases = [
        ("missing", String::new()),
        ("empty", header("")),
        ("wrong", header("wrong")),
        ("a prefix", header(TOKEN.trim_end_matches('c'))),
        ("too long", header(&format!("{TOKEN}{}", "a".repeat(8192)))),
        ("in another case", header(&TOKEN.to_uppercase())),
        ("repeated", format!("{}{}", header(TOKEN), header(TOKEN))),
        ("right, then wrong", format!("{}{}", header(TOKEN), header("wrong"))),
        ("a list", header(&format!("{TOKEN}, {TOKEN}"))),
        ("bytes", header("\u{fffd}")),
    ];
    // one connection: a refusal of this kind does not cost Telegram its connection
    let mut connection = fixture.connect().await?;
    for (case, headers) in cases {
        let answer = connection.ask(with_headers(&headers)).await?;
        assert_eq!(answer.status, 401, "{case}");
        assert_refused(&fixture, &answer, 401);
    }
    let answer = connection.ask(request(PATH, TOKEN, UPDATE)).await?;
    assert_eq!(answer.status, 200, "the same connection is good for a right token");
    Ok(())
}

#[tokio::test]
async fn an_unknown_path_is_not_found_whatever_else_is_right() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let query = format!("{PATH}?a=b");
    let slash = format!("{PATH}/");
    let longer = format!("/x{PATH}");
    for path in ["/", "/telegram", PATH.trim_end_matches('f'), &query, &slash, &longer, "*"] {
        let answer = fixture.ask(request(path, TOKEN, UPDATE)).await?;
        assert_refused(&fixture, &answer, 404);
    }
    Ok(())
}

#[tokio::test]
async fn another_method_is_not_allowed_on_a_known_path_and_not_found_elsewhere() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let answer = fixture
            .ask(format!("{method} {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{TOKEN_HEADER}: {TOKEN}\r\n\r\n"))
            .await?;
        assert_refused(&fixture, &answer, 405);
        assert_eq!(answer.header("allow"), Some("POST"));
        let answer = fixture.ask(format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await?;
        assert_refused(&fixture, &answer, 404);
        assert_eq!(answer.header("allow"), None);
    }
    Ok(())
}

async fn fixture_with_small_limits() -> anyhow::Result<Fixture> {
    Fixture::start_with(|config| {
        config.limits = Limits { max_body_bytes: 1024, body_timeout_seconds: 1, ..Limits::default() };
    })
    .await
}

#[tokio::test]
async fn a_body_announced_as_too_large_is_refused_unread() -> anyhow::Result<()> {
    let fixture = fixture_with_small_limits().await?;
    let mut connection = fixture.connect().await?;
    // no byte of the body is ever sent
    let answer = connection
        .ask(format!(
            "POST {PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: {TOKEN}\r\nContent-Length: 1025\r\n\r\n"
        ))
        .await?;
    assert_refused(&fixture, &answer, 413);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(connection.is_closed().await);
    Ok(())
}

#[tokio::test]
async fn the_refusal_of_a_large_body_reaches_a_client_that_is_still_sending_it() -> anyhow::Result<()> {
    let fixture = fixture_with_small_limits().await?;
    let mut connection = fixture.connect().await?;
    let body = vec![b'x'; 40_000];
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: {TOKEN}\r\nContent-Length: 80000\r\n\r\n"
    );
    connection.send(head).await?;
    fixture.wait_for_metric(&series::requests("body_too_large"), |refused| refused > 0).await?;
    // the sidecar has answered by now; a reset would make the second of these fail
    connection.send(&body).await?;
    fixture.admin("GET", "/livez").await?;
    connection.send(&body).await?;
    assert_refused(&fixture, &connection.answer().await?, 413);
    Ok(())
}

#[tokio::test]
async fn a_chunked_body_that_grows_too_large_is_refused() -> anyhow::Result<()> {
    let fixture = fixture_with_small_limits().await?;
    let chunk = "x".repeat(1025);
    let mut connection = fixture.connect().await?;
    let answer = connection
        .ask(format!(
            "POST {PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n\
             401\r\n{chunk}\r\n"
        ))
        .await?;
    assert_refused(&fixture, &answer, 413);
    assert!(connection.is_closed().await);
    Ok(())
}

#[tokio::test]
async fn a_body_of_exactly_the_largest_size_is_accepted() -> anyhow::Result<()> {
    let mut fixture = fixture_with_small_limits().await?;
    let answer = fixture.ask(request(PATH, TOKEN, format!("{UPDATE:1024}"))).await?;
    assert_eq!(answer.status, 200);
    assert_eq!(fixture.crm.received().await?.1.len(), 1024);
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_refused() -> anyhow::Result<()> {
    let fixture = fixture_with_small_limits().await?;
    let mut connection = fixture.connect().await?;
    let answer = connection
        .ask(format!(
            "POST {PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: {TOKEN}\r\nContent-Length: 10\r\n\r\n{{"
        ))
        .await?;
    assert_refused(&fixture, &answer, 408);
    assert!(connection.is_closed().await);
    Ok(())
}

#[tokio::test]
async fn a_stranger_is_refused_without_waiting_for_the_body() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let answer = fixture
        .ask(format!(
            "POST {PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: wrong\r\nContent-Length: 1000000000\r\n\r\n"
        ))
        .await?;
    assert_refused(&fixture, &answer, 401);
    Ok(())
}

#[tokio::test]
async fn a_stranger_who_waits_to_be_told_to_continue_is_refused_right_away() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let answer = fixture
        .ask(format!(
            "POST {PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: wrong\r\nContent-Length: 9\r\n\
             Expect: 100-continue\r\n\r\n"
        ))
        .await?;
    assert_refused(&fixture, &answer, 401);
    Ok(())
}

#[tokio::test]
async fn the_token_of_one_slot_is_no_good_for_the_path_of_another() -> anyhow::Result<()> {
    let fixture = Fixture::start_with(|config| {
        config.slots.push(slot(2, "/telegram/other", "other"));
    })
    .await?;
    for (path, token) in [(PATH, "other"), ("/telegram/other", TOKEN)] {
        let answer = fixture.ask(request(path, token, UPDATE)).await?;
        assert_refused(&fixture, &answer, 401);
    }
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    assert_eq!(fixture.ask(request("/telegram/other", "other", UPDATE)).await?.status, 200);
    Ok(())
}
