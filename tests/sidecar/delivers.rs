//! What the CRM gets, and what Telegram hears about it.

use serde_json::{Value, json};
use telegram_webhook_sidecar_config::Limits;

use crate::{
    client::Answer,
    crm::{Crm, Reply},
    fixture::{Fixture, PATH, TOKEN, TOKEN_HEADER, UPDATE, WEBHOOK, request, update},
    series::series,
};

fn assert_try_again(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("2"), "{answer:?}");
    answer.assert_bare();
}

#[tokio::test]
async fn the_crm_gets_the_bytes_unchanged_and_not_the_token() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    // a newline after the first comma as Telegram writes it, and bytes that are no UTF-8
    let body = b"{\"update_id\":1,\n\"callback_query\":{\"from\":{\"id\":5},\"data\":\"\xff\xfe\"}}";
    let answer = fixture.ask(request(PATH, TOKEN, body)).await?;
    assert_eq!(answer.status, 200);
    answer.assert_bare();
    let (head, received) = fixture.crm.received().await?;
    assert_eq!(received, &body[..]);
    assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/webhooks/telegram"));
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("host"), Some(&*format!("127.0.0.1:{}", fixture.crm.port)));
    assert_eq!(header("content-length"), Some(&*body.len().to_string()));
    assert_eq!(header(TOKEN_HEADER), None);
    assert!(header("webhook-id").is_some_and(|id| id.ends_with("-1")), "{:?}", head.headers);
    assert!(header("webhook-timestamp").is_some_and(|seconds| seconds.parse::<u64>().is_ok()));
    assert_eq!(header("telegram-webhook-attempt"), Some("1"));
    assert_eq!(head.headers.len(), 6, "{:?}", head.headers);
    Ok(())
}

#[tokio::test]
async fn an_update_that_was_delivered_is_named_for_whoever_wants_to_know() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    assert_eq!(fixture.ask(request(PATH, TOKEN, update(7))).await?.status, 200);
    let line: Value = serde_json::from_str(&fixture.sidecar.logged(0, "update accepted").await?)?;
    assert_eq!(line["level"], "DEBUG", "{line}");
    let fields = json!({"message": "update accepted", "outcome": "delivered", "webhook": WEBHOOK, "update_id": 7, "kind": "message"});
    assert_eq!(line["fields"], fields);
    Ok(())
}

#[tokio::test]
async fn a_chunked_body_arrives_whole() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let answer = fixture
        .ask(format!(
            "POST {PATH} HTTP/1.1\r\nHost: h\r\n{TOKEN_HEADER}: {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\n{{\"upd\r\n1f\r\nate_id\":1,\"callback_query\":{{\"fr\r\ne\r\nom\":{{\"id\":5}}}}}}\r\n0\r\n\r\n"
        ))
        .await?;
    assert_eq!(answer.status, 200);
    assert_eq!(fixture.crm.received().await?.1, r#"{"update_id":1,"callback_query":{"from":{"id":5}}}"#);
    Ok(())
}

#[tokio::test]
async fn one_connection_carries_many_updates() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let mut connection = fixture.connect().await?;
    for id in 0..50 {
        let body = update(id);
        let answer = connection.ask(request(PATH, TOKEN, &body)).await?;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("connection"), None);
        assert_eq!(fixture.crm.received().await?.1, body);
    }
    Ok(())
}

#[tokio::test]
async fn every_2xx_of_the_crm_is_a_bare_200() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    for status in [200, 201, 202, 204] {
        fixture.crm.reply_with(Reply {
            status,
            headers: vec![("content-type", "application/json"), ("set-cookie", "a=b")],
            body: if status == 204 { "" } else { "{\"method\":\"leaveChat\",\"chat_id\":1}" },
        });
        let answer = fixture.ask(request(PATH, TOKEN, update(status.into()))).await?;
        assert_eq!(answer.status, 200, "after {status}");
        answer.assert_bare();
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_telegram_does_not_get_is_counted_by_its_reason() -> anyhow::Result<()> {
    let fixture = Fixture::start_with(|config| {
        config.delivery.reply_methods = vec!["sendMessage".to_owned()];
    })
    .await?;
    let json = "application/json";
    let (call, other) = (r#"{"method":"sendMessage","chat_id":1}"#, r#"{"method":"leaveChat","chat_id":1}"#);
    let mut id = 0;
    for (content_type, body, reason) in [
        (json, call, None),
        (json, "", None),
        (json, other, Some("not_allowed")),
        (json, r#"{"ok":true}"#, Some("no_call")),
        ("multipart/form-data; boundary=a", "--a--", Some("form")),
        ("text/plain", "ok", Some("not_json")),
    ] {
        fixture.crm.reply_with(Reply { status: 200, headers: vec![("content-type", content_type)], body });
        id += 1;
        let answer = fixture.ask(request(PATH, TOKEN, update(id))).await?;
        assert_eq!((answer.status, answer.body.as_str()), (200, if body == call { call } else { "" }));
        let metrics = fixture.admin("GET", "/metrics").await?.body;
        let withheld = "telegram_webhook_sidecar_replies_withheld_total{";
        let counted = metrics.lines().filter(|line| line.starts_with(withheld)).count();
        assert_eq!(counted, usize::try_from(id)?.saturating_sub(2), "{content_type} {body}");
        if let Some(reason) = reason {
            let withheld = series("replies_withheld_total", &[("webhook", WEBHOOK), ("reason", reason)]);
            assert_eq!(fixture.metric(&withheld).await?, 1, "{reason}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn any_other_answer_of_the_crm_means_try_again() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    // one connection: none of these costs Telegram its connection
    let mut connection = fixture.connect().await?;
    for status in [301, 302, 304, 400, 401, 404, 410, 429, 500, 503] {
        fixture.crm.reply_with(Reply {
            status,
            headers: vec![("location", "https://elsewhere.example.com/"), ("retry-after", "3600")],
            body: if status == 304 { "" } else { "what the CRM has to say" },
        });
        let answer = connection.ask(request(PATH, TOKEN, UPDATE)).await?;
        assert_try_again(&answer);
    }
    assert_eq!(fixture.requests("crm_status").await?, 10);
    Ok(())
}

#[tokio::test]
async fn a_crm_that_is_down_means_try_again() -> anyhow::Result<()> {
    let port = Crm::absent().await?;
    let fixture = Fixture::start_with(|config| config.upstream.port = port).await?;
    let answer = fixture.ask(request(PATH, TOKEN, UPDATE)).await?;
    assert_try_again(&answer);
    Ok(())
}

#[tokio::test]
async fn a_crm_that_is_slow_means_try_again() -> anyhow::Result<()> {
    let fixture = Fixture::start_with(|config| {
        config.limits = Limits { upstream_timeout_seconds: 1, ..Limits::default() };
    })
    .await?;
    fixture.crm.hold(true);
    let answer = fixture.ask(request(PATH, TOKEN, UPDATE)).await?;
    assert_try_again(&answer);
    fixture.crm.hold(false);
    assert_eq!(fixture.ask(request(PATH, TOKEN, UPDATE)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_crm_finishes_an_update_whose_sender_has_gone() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.crm.hold(true);
    let mut connection = fixture.connect().await?;
    connection.send(request(PATH, TOKEN, update(7))).await?;
    assert_eq!(fixture.crm.received().await?.1, update(7));
    drop(connection);
    fixture.wait_for_metric(&series("requests_in_flight", &[]), |in_flight| in_flight == 0).await?;
    fixture.crm.hold(false);
    let labels = [("webhook", WEBHOOK), ("outcome", "delivered")];
    let delivered = series("upstream_duration_seconds_count", &labels);
    fixture.wait_for_metric(&delivered, |delivered| delivered > 0).await
}
