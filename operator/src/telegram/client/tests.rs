use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

use super::*;
use crate::{fixtures, telegram::BotToken};

/// A server that answers each connection with the next of `answers` and passes on what it was asked.
async fn server(answers: Vec<&'static str>) -> (Bot, mpsc::UnboundedReceiver<String>) {
    fixtures::install_crypto();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bot = Bot {
        server: format!("http://{}", listener.local_addr().unwrap()),
        token: BotToken::parse(fixtures::TOKEN).unwrap(),
    };
    let (requests, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !is_complete(&request) {
                let n = stream.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..n]);
            }
            requests.send(String::from_utf8(request).unwrap()).unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (bot, asked)
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    body.len() >= length
}

fn client() -> (HttpBotApi, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    (HttpBotApi::new(Arc::clone(&metrics)).unwrap(), metrics)
}

fn parameters() -> WebhookParameters {
    WebhookParameters {
        url: "https://hooks.example.com/telegram/PATHSEGMENT".into(),
        secret_token: "SECRETTOKEN".into(),
        max_connections: 40,
        ip_address: None,
        allowed_updates: vec![],
    }
}

/// A whole answer with this status line and body.
macro_rules! answer {
    ($status:literal, $body:literal) => {
        concat!("HTTP/1.1 ", $status, "\r\nConnection: close\r\n\r\n", $body)
    };
}

#[tokio::test]
async fn set_webhook_sends_the_complete_set_and_never_drops_updates() {
    let (bot, mut asked) = server(vec![answer!("200 OK", r#"{"ok":true,"result":true}"#)]).await;
    let (api, metrics) = client();
    api.set_webhook(&bot, &parameters()).await.unwrap();
    let request = asked.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("POST /bot{}/setWebhook HTTP/1.1", fixtures::TOKEN)));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({
            "url": "https://hooks.example.com/telegram/PATHSEGMENT",
            "secret_token": "SECRETTOKEN",
            "max_connections": 40,
            "allowed_updates": [],
        })
    );
    let text = metrics.render().unwrap();
    assert!(text.contains(r#"method="setWebhook",outcome="ok"} 1"#), "{text}");
}

#[tokio::test]
async fn answers_become_typed_errors() {
    let cases = [
        (
            answer!("401 Unauthorized", r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#),
            ApiError::Unauthorized,
        ),
        (
            answer!("404 Not Found", r#"{"ok":false,"error_code":404,"description":"Not Found"}"#),
            ApiError::NotFound,
        ),
        (
            answer!("409 Conflict", r#"{"ok":false,"error_code":409,"description":"Conflict"}"#),
            ApiError::Conflict,
        ),
        (
            answer!(
                "429 Too Many Requests",
                r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":7}}"#
            ),
            ApiError::TooManyRequests(Duration::from_secs(7)),
        ),
        // a proxy's
        (answer!("401 Unauthorized", "<html>401</html>"), ApiError::Server(401)),
        (answer!("404 Not Found", "404 page not found"), ApiError::Server(404)),
        (answer!("404 Not Found", r#"{"message":"no Route matched"}"#), ApiError::Server(404)),
        (answer!("404 Not Found", r#"{"ok":true}"#), ApiError::Malformed),
        (answer!("502 Bad Gateway", "<html>502 Bad Gateway nginx</html>"), ApiError::Server(502)),
        (answer!("400 Bad Request", ""), ApiError::BadRequest(String::new())),
        (answer!("200 OK", "<html>"), ApiError::Malformed),
        ("", ApiError::Transport),
    ];
    for (answer, expected) in cases {
        let (bot, _asked) = server(vec![answer]).await;
        let (api, _) = client();
        assert_eq!(api.get_webhook_info(&bot).await, Err(expected), "{answer}");
    }
}

#[tokio::test]
async fn what_the_server_quotes_of_our_secrets_is_hidden() {
    let (bot, _asked) = server(vec![answer!(
        "400 Bad Request",
        r#"{"ok":false,"error_code":400,"description":"bad webhook: https://hooks.example.com/telegram/PATHSEGMENT SECRETTOKEN /telegram/PATHSEGMENT 123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678"}"#
    )])
    .await;
    let error = client().0.set_webhook(&bot, &parameters()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains("bad webhook"), "{shown}");
    for secret in ["PATHSEGMENT", "SECRETTOKEN", "ABCdef"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn set_webhook_is_called_at_most_once_a_second_per_bot() {
    let ok = answer!("200 OK", r#"{"ok":true,"result":true}"#);
    let (bot, _asked) = server(vec![ok, ok]).await;
    let (api, _) = client();
    let started = Instant::now();
    api.set_webhook(&bot, &parameters()).await.unwrap();
    api.set_webhook(&bot, &parameters()).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn after_a_429_nothing_is_asked_for_this_bot_until_the_time_is_over() {
    let flood = answer!(
        "429 Too Many Requests",
        r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":1}}"#
    );
    let ok = answer!("200 OK", r#"{"ok":true,"result":{"id":123456}}"#);
    let (bot, mut asked) = server(vec![flood, ok]).await;
    let (api, _) = client();
    let second = Duration::from_secs(1);
    assert_eq!(api.get_webhook_info(&bot).await, Err(ApiError::TooManyRequests(second)));
    asked.recv().await.unwrap();
    let refusals = [
        api.get_me(&bot).await.unwrap_err(),
        api.set_webhook(&bot, &parameters()).await.unwrap_err(),
        api.delete_webhook(&bot).await.unwrap_err(),
    ];
    assert!(refusals.iter().all(|error| matches!(error, ApiError::TooManyRequests(rest) if *rest <= second)));
    assert!(asked.try_recv().is_err(), "the server was asked");
    let ApiError::TooManyRequests(rest) = refusals[2] else { unreachable!() };
    tokio::time::pause();
    tokio::time::advance(rest).await;
    tokio::time::resume();
    api.get_me(&bot).await.unwrap();
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    fixtures::install_crypto();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let bot = Bot { server, token: BotToken::parse(fixtures::TOKEN).unwrap() };
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let mut length = 0;
        while !is_complete(&request[..length]) {
            length += stream.read(&mut request[length..]).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.unwrap();
        // until the client hangs up
        while stream.write_all(&request).await.is_ok() {}
    });
    assert_eq!(client().0.get_me(&bot).await, Err(ApiError::Malformed));
    serving.await.unwrap();
}
