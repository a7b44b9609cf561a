//! The request path's table, row by row: what each stage refuses, with what answer, under which name in the metrics, and with which
//! record in the log.

use serde_json::Value;
use telegram_webhook_sidecar_config::{AddressMode, AddressRefusal, Hmac, HmacEncoding, Rate, WebhookConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    crm::Reply,
    fixture::{Fixture, HOST, PATH, TOKEN, TOKEN_HEADER, UPDATE, WEBHOOK, request, update},
    series,
};

const NOBODYS: &str = "192.0.2.0/24";
const ONE_AN_HOUR: Rate = Rate { requests: 1, window_seconds: 3600 };

/// A request that is refused.
struct Row {
    /// Name in metrics and log.
    reject: &'static str,
    change: fn(&mut WebhookConfig),
    /// What the CRM answers.
    crm: u16,
    /// Sent before, whatever the answer.
    before: Option<Vec<u8>>,
    request: Vec<u8>,
    status: u16,
    /// A header of the answer and how its value begins.
    header: Option<(&'static str, &'static str)>,
    level: &'static str,
    /// Labels of the metric.
    webhook: &'static str,
    slot: &'static str,
}

impl Row {
    fn new(reject: &'static str, status: u16, level: &'static str, request: impl Into<Vec<u8>>) -> Self {
        Self {
            reject,
            change: |_| {},
            crm: 200,
            before: None,
            request: request.into(),
            status,
            header: None,
            level,
            webhook: WEBHOOK,
            slot: "",
        }
    }

    /// The client has shown the token of the slot 1.
    fn authenticated(self) -> Self {
        Self { slot: "1", ..self }
    }

    fn unrouted(self) -> Self {
        Self { webhook: "", ..self }
    }

    fn header(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    fn with(self, change: fn(&mut WebhookConfig)) -> Self {
        Self { change, ..self }
    }

    fn after(self, before: impl Into<Vec<u8>>) -> Self {
        Self { before: Some(before.into()), ..self }
    }

    async fn check(self) -> anyhow::Result<()> {
        let Self { reject, change, crm, before, request, status, header, level, webhook, slot } = self;
        let mut fixture = Fixture::start_with(change).await?;
        fixture.crm.reply_with(Reply { status: crm, headers: vec![], body: "" });
        let mut connection = fixture.connect().await?;
        if let Some(before) = before {
            connection.ask(before).await?;
        }
        if !fixture.crm.has_received_nothing_more() {
            fixture.crm.received().await?;
        }

        let answer = connection.ask(request).await?;
        assert_eq!(answer.status, status, "{reject}");
        answer.assert_bare();
        if let Some((name, value)) = header {
            let found = answer.header(name).unwrap_or_default();
            assert!(found.starts_with(value) && !found.is_empty(), "{reject}: {name} is {found:?}");
        }
        assert_eq!(fixture.crm.has_received_nothing_more(), crm == 200, "{reject}");

        let refused = series::requests_of(webhook, slot, reject);
        assert_eq!(fixture.metric(&refused).await?, 1, "{refused}");
        let record = record_of(&fixture, "reject", reject).await?;
        assert_eq!(record["level"], level, "{record}");
        let fields = &record["fields"];
        let message = if status == 200 { "update dropped" } else { "request refused" };
        assert_eq!(
            (&fields["message"], &fields["status"], &fields["webhook"], &fields["client"]),
            (&message.into(), &status.into(), &webhook.into(), &"127.0.0.1".into()),
            "{record}"
        );
        assert!(fields["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{record}");
        Ok(())
    }
}

/// The audit record in which a field has this value.
async fn record_of(fixture: &Fixture, field: &str, value: &str) -> anyhow::Result<Value> {
    let is_it = |record: &Value| record["target"] == "audit" && record["fields"][field] == value;
    let is_wanted = |line: &str| serde_json::from_str(line).is_ok_and(|record| is_it(&record));
    let line = fixture.sidecar.logged_where(value, is_wanted).await?;
    Ok(serde_json::from_str(&line)?)
}

/// Telegram's addresses are somebody else's, and nobody looks.
fn strangers(config: &mut WebhookConfig) {
    config.source_address.mode = AddressMode::Off;
    config.source_address.ranges = vec![NOBODYS.to_owned()];
}

fn with_headers(headers: &str, body: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n{body}")
}

fn with_token(headers: &str, body: &str) -> String {
    with_headers(&format!("{TOKEN_HEADER}: {TOKEN}\r\n{headers}"), body)
}

#[tokio::test]
async fn addresses_paths_and_methods() -> anyhow::Result<()> {
    let unlisted: fn(&mut WebhookConfig) = |config| config.source_address.ranges = vec![NOBODYS.to_owned()];
    Row::new("address_not_allowed", 403, "INFO", request("/", "wrong", "{}"))
        .unrouted()
        .with(unlisted)
        .check()
        .await?;
    // genuine otherwise: it is known then whose it would be
    Row::new("address_not_allowed", 403, "WARN", request(PATH, TOKEN, UPDATE))
        .authenticated()
        .with(unlisted)
        .check()
        .await?;
    Row::new("unknown_path", 404, "INFO", request("/", TOKEN, UPDATE)).unrouted().check().await?;
    Row::new("method_not_allowed", 405, "INFO", format!("GET {PATH} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
        .header("allow", "POST")
        .check()
        .await
}

#[tokio::test]
async fn who_fails_too_often() -> anyhow::Result<()> {
    Row::new("rate_limited_unauthenticated", 429, "INFO", request(PATH, "wrong", UPDATE))
        .with(|config| {
            strangers(config);
            config.limits.unauthenticated = ONE_AN_HOUR;
        })
        .after(request("/", TOKEN, UPDATE))
        .header("retry-after", "")
        .check()
        .await
}

#[tokio::test]
async fn tokens() -> anyhow::Result<()> {
    let header = format!("{TOKEN_HEADER}: {TOKEN}\r\n");
    let missing = with_headers("Content-Length: 2\r\n", "{}");
    Row::new("token_missing", 401, "WARN", missing).check().await?;
    let repeated = with_headers(&format!("{header}{header}Content-Length: 2\r\n"), "{}");
    Row::new("token_repeated", 401, "WARN", repeated).check().await?;
    Row::new("token_wrong", 401, "WARN", request(PATH, "wrong", UPDATE)).check().await
}

#[tokio::test]
async fn bodies() -> anyhow::Result<()> {
    let large = with_token("Content-Length: 1048577\r\n", "");
    Row::new("body_too_large", 413, "WARN", large)
        .authenticated()
        .header("connection", "close")
        .check()
        .await?;
    let slow = with_token("Content-Length: 2\r\n", "{");
    Row::new("body_timeout", 408, "WARN", slow)
        .authenticated()
        .with(|config| config.limits.body_timeout_seconds = 1)
        .header("connection", "close")
        .check()
        .await?;
    let malformed = with_token("Transfer-Encoding: chunked\r\n", "x\r\n");
    Row::new("body_incomplete", 400, "WARN", malformed)
        .authenticated()
        .header("connection", "close")
        .check()
        .await
}

#[tokio::test]
async fn signatures() -> anyhow::Result<()> {
    let relay: fn(&mut WebhookConfig) = |config| {
        config.hmac = Some(Hmac::Body {
            header: "X-Signature".to_owned(),
            encoding: HmacEncoding::Hex,
            secret: "a secret of a relay".to_owned(),
        });
    };
    let unsigned = request(PATH, TOKEN, UPDATE);
    Row::new("signature_missing", 401, "WARN", unsigned).authenticated().with(relay).check().await?;
    let wrong = with_token(&format!("X-Signature: {}\r\nContent-Length: 2\r\n", "0".repeat(64)), "{}");
    Row::new("signature_wrong", 401, "WARN", wrong).authenticated().with(relay).check().await
}

#[tokio::test]
async fn who_sends_too_much() -> anyhow::Result<()> {
    Row::new("rate_limited_authenticated", 429, "WARN", request(PATH, TOKEN, update(2)))
        .authenticated()
        .with(|config| config.limits.authenticated = ONE_AN_HOUR)
        .after(request(PATH, TOKEN, update(1)))
        .header("retry-after", "5")
        .check()
        .await
}

#[tokio::test]
async fn updates_that_go_no_further() -> anyhow::Result<()> {
    Row::new("malformed", 200, "WARN", request(PATH, TOKEN, "{}")).authenticated().check().await?;
    let group = UPDATE.replace("private", "group");
    Row::new("filtered_chat_type", 200, "INFO", request(PATH, TOKEN, group)).authenticated().check().await?;
    Row::new("duplicate", 200, "INFO", request(PATH, TOKEN, UPDATE))
        .authenticated()
        .after(request(PATH, TOKEN, UPDATE))
        .check()
        .await
}

#[tokio::test]
async fn a_crm_that_cannot_take_an_update() -> anyhow::Result<()> {
    let refused = Row::new("crm_status", 503, "ERROR", request(PATH, TOKEN, UPDATE)).authenticated();
    Row { crm: 500, ..refused }.header("retry-after", "2").check().await
}

/// Opens a connection that ends before anything was said on it, or after the bytes were.
async fn assert_dropped(
    end: &str,
    bytes: &[u8],
    change: impl FnOnce(&mut WebhookConfig),
) -> anyhow::Result<()> {
    let fixture = Fixture::start_with(change).await?;
    let mut said = Vec::new();
    // the connection may be gone at any moment
    if let Ok(mut stream) = TcpStream::connect(fixture.sidecar.webhook_address).await {
        drop(stream.write_all(bytes).await);
        drop(stream.read_to_end(&mut said).await);
    }
    assert!(!String::from_utf8_lossy(&said).contains("HTTP"), "{end}: {said:?}");
    let record = record_of(&fixture, "end", end).await?;
    let fields = &record["fields"];
    assert_eq!(
        (&fields["message"], &fields["count"], &fields["last_client"]),
        (&"connections dropped".into(), &1.into(), &"127.0.0.1".into()),
        "{record}"
    );
    assert_eq!(fixture.ended(end).await?, 1, "{end}");
    Ok(())
}

#[tokio::test]
async fn connections_that_are_dropped() -> anyhow::Result<()> {
    assert_dropped("banned", b"", |config| {
        strangers(config);
        config.limits.banned = vec!["127.0.0.1/32".to_owned()];
    })
    .await?;
    assert_dropped("unlisted", b"", |config| {
        config.source_address.ranges = vec![NOBODYS.to_owned()];
        config.source_address.refusal = AddressRefusal::Close;
    })
    .await?;
    assert_dropped("handshake_failed", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", |_| {}).await
}
