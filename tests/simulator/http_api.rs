//! The Bot API over real HTTP, by its four ways to pass parameters, and the faults that a test can inject.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use telegram_webhook_tests::telegram::{
    Simulator,
    bot::Bot,
    faults::{ApiFault, ApiFaultKind},
};
use tokio::net::TcpListener;

use crate::{
    bench::{Bench, TOKEN, URL},
    script::Action,
};

struct Api {
    base: String,
    bot: Arc<Bot>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A served simulator and its base address.
pub async fn serve(simulator: &Simulator) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("address"));
    tokio::spawn(simulator.clone().serve(listener));
    base
}

async fn start() -> Api {
    let bench = Bench::idle(|_| Action::ok());
    Api {
        base: serve(&bench.simulator).await,
        bot: bench.bot,
        client: Client::builder(TokioExecutor::new()).build_http(),
    }
}

impl Api {
    async fn send(&self, path: &str, content_type: &str, body: &[u8]) -> anyhow::Result<Response<Bytes>> {
        let request = Request::builder()
            .method(if body.is_empty() { "GET" } else { "POST" })
            .uri(format!("{}{path}", self.base))
            .header("content-type", content_type)
            .body(Full::new(Bytes::copy_from_slice(body)))?;
        let (head, body) = self.client.request(request).await.context("no answer")?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    async fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Value)> {
        let answer = self.send(path, "", b"").await?;
        Ok((answer.status(), serde_json::from_slice(answer.body()).unwrap_or_default()))
    }

    fn last_parameters(&self) -> serde_json::Map<String, Value> {
        self.bot.lock().record.calls.last().unwrap().parameters.clone()
    }

    fn inject(&self, method: &str, kind: ApiFaultKind, after_effect: bool) {
        self.bot.lock().api_faults.push(ApiFault { method: method.to_owned(), kind, count: 1, after_effect });
    }
}

#[tokio::test]
async fn fact_1_2_parameters_come_by_query_form_json_and_multipart() {
    let api = start().await;
    let path = format!("/bot{TOKEN}/setWebhook");
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"url\"\r\n\r\nhttps://:0/\r\n--b\r\n\
                     Content-Disposition: form-data; name=\"secret_token\"\r\n\r\nx\r\n--b\r\n\
                     Content-Disposition: form-data; name=\"certificate\"; filename=\"c.pem\"\r\n\r\nPEM\r\n--b--\r\n";
    let ways = [
        (format!("{path}?url=https%3A%2F%2F%3A0%2F&secret_token=x"), "", ""),
        (path.clone(), "application/x-www-form-urlencoded", "url=https%3A%2F%2F%3A0%2F&secret_token=x"),
        (path.clone(), "application/json", r#"{"url":"https://:0/","secret_token":"x"}"#),
        (path.clone(), "multipart/form-data; boundary=\"b\"", multipart),
    ];
    for (path, content_type, body) in ways {
        api.bot.lock().next_set_at = None;
        let answer = api.send(&path, content_type, body.as_bytes()).await.unwrap();
        assert_eq!(answer.status(), 400);
        let parameters = api.last_parameters();
        assert_eq!(
            (&parameters["url"], &parameters["secret_token"]),
            (&"https://:0/".into(), &"x".into()),
            "{content_type}"
        );
    }
    assert_eq!(api.bot.lock().record.calls.last().unwrap().files["certificate"], 3);
}

#[tokio::test]
async fn fact_1_2_a_json_array_is_passed_through_as_text() {
    let api = start().await;
    let body = format!(r#"{{"url":"{URL}","allowed_updates":["message","poll"],"max_connections":9}}"#);
    let path = format!("/bot{TOKEN}/setWebhook");
    assert_eq!(api.send(&path, "application/json", body.as_bytes()).await.unwrap().status(), 200);
    let (_, info) = api.get(&format!("/bot{TOKEN}/getWebhookInfo")).await.unwrap();
    assert_eq!(info["result"]["allowed_updates"], serde_json::json!(["message", "poll"]));
    assert_eq!(info["result"]["max_connections"], 9);
}

#[tokio::test]
async fn fact_8_errors_have_the_status_the_form_and_the_retry_after_header() {
    let api = start().await;
    let path = format!("/bot{TOKEN}/setWebhook?url=https://:0/");
    let (status, body) = api.get(&path).await.unwrap();
    let expected = serde_json::json!({"ok": false, "error_code": 400, "description": "Bad Request: invalid webhook URL specified"});
    assert_eq!((status.as_u16(), body), (400, expected));
    let answer = api.send(&path, "", b"").await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["retry-after"], "1");
    let (status, body) = api.get("/bot77:unknown/getMe").await.unwrap();
    assert_eq!((status.as_u16(), &body["description"]), (401, &"Unauthorized".into()));
    let (status, body) = api.get("/elsewhere").await.unwrap();
    assert_eq!((status.as_u16(), &body["description"]), (404, &"Not Found".into()));
}

#[tokio::test]
async fn fact_8_an_http_level_fault_has_an_empty_body() {
    let api = start().await;
    let path = format!("/bot{TOKEN}/getMe");
    let answer = api.send(&path, "multipart/form-data", b"x").await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().len()), (400, 0));
    let large = vec![b'x'; (1 << 20) + 1];
    let answer = api.send(&path, "application/json", &large).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().len()), (413, 0));
}

#[tokio::test]
async fn injected_faults_hit_once_each_and_then_the_api_answers_again() {
    let api = start().await;
    let path = format!("/bot{TOKEN}/getMe");
    api.inject("getMe", ApiFaultKind::TooManyRequests { retry_after: 7 }, false);
    let answer = api.send(&path, "", b"").await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    api.inject("*", ApiFaultKind::Status { status: 500 }, false);
    assert_eq!(api.get(&path).await.unwrap().0, 500);
    api.inject("getMe", ApiFaultKind::Html502, false);
    let answer = api.send(&path, "", b"").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (502, &"text/html".parse().unwrap())
    );
    api.inject("getMe", ApiFaultKind::Timeout { seconds: 0 }, false);
    assert!(api.send(&path, "", b"").await.is_err());
    api.inject("getMe", ApiFaultKind::Reset, false);
    assert!(api.send(&path, "", b"").await.is_err());
    assert_eq!(api.get(&path).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_not_a_plain_close() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let api = start().await;
    api.inject("getMe", ApiFaultKind::Reset, false);
    let address = api.base.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /bot{TOKEN}/getMe HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_lost_answer_leaves_the_effect() {
    let api = start().await;
    api.inject("setWebhook", ApiFaultKind::Reset, true);
    let path = format!("/bot{TOKEN}/setWebhook?url={URL}");
    assert!(api.send(&path, "", b"").await.is_err());
    let (_, info) = api.get(&format!("/bot{TOKEN}/getWebhookInfo")).await.unwrap();
    assert_eq!(info["result"]["url"], URL);
}
