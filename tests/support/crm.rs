//! A sample CRM: it takes updates at `/webhooks/telegram`, shows and records them in the order of their arrival, and can be
//! told to fail.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /webhooks/telegram` | the status set by `/control`, 200 at first; recorded when it is 2xx |
//! | `GET /received` | `[{"updateId", "chatId", "secretHeader"}]`, oldest first |
//! | `POST /control` with `{"status": 503}` | from now on updates are answered with that status |
//! | `GET /healthz` | 200 |
//!
//! Several of them can hand what they get on to one more, which sees what all have accepted, in order: see [`serve_for`].

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{net::TcpListener, time::sleep};

/// The header in which Telegram sends its secret; a CRM behind the sidecar never sees it.
pub const SECRET_HEADER: &str = "X-Telegram-Bot-Api-Secret-Token";

/// Where it takes updates.
pub const UPDATES: &str = "/webhooks/telegram";

/// One update that the CRM accepted.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// The update's id.
    pub update_id: i64,
    /// The chat of its message.
    pub chat_id: Option<i64>,
    /// Whether Telegram's secret header came along, which must never happen behind the sidecar.
    pub secret_header: bool,
}

/// What `POST /control` takes.
#[derive(Serialize, Deserialize, Clone, Copy, Debug)]
pub struct Control {
    /// Status that updates are answered with from now on.
    pub status: u16,
}

#[derive(Debug)]
struct State {
    received: Vec<Received>,
    status: StatusCode,
}

/// One more CRM, to which updates are handed on before they are accepted.
#[derive(Clone)]
struct Collector {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
    afterwards: Duration,
}

impl Collector {
    /// Its answer's status, after all that there is to do.
    async fn hand_on(&self, body: Bytes) -> StatusCode {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.uri);
        let answer = self.client.request(request).await;
        sleep(self.afterwards).await;
        answer.map_or(StatusCode::SERVICE_UNAVAILABLE, |response| response.status())
    }
}

/// Serves the CRM on `listener` until the future is dropped.
pub async fn serve(listener: TcpListener) {
    serve_with(listener, None).await;
}

/// The same, but an update is accepted only once the CRM at `collector` has accepted it, and so long `afterwards`: who is stopped
/// meanwhile has handed it on, and nobody knows.
pub async fn serve_for(listener: TcpListener, collector: Uri, afterwards: Duration) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    serve_with(listener, Some(Collector { client, uri: collector, afterwards })).await;
}

async fn serve_with(listener: TcpListener, collector: Option<Collector>) {
    let state = Arc::new(Mutex::new(State { received: Vec::new(), status: StatusCode::OK }));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (state, collector) = (Arc::clone(&state), collector.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), collector.clone(), request));
            // a client that goes away is no news to a sample
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    collector: Option<Collector>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Ok(plain(StatusCode::BAD_REQUEST));
    };
    let body = body.to_bytes();
    let secret_header = head.headers.contains_key(SECRET_HEADER);
    Ok(match (&head.method, head.uri.path()) {
        (&Method::POST, UPDATES) => {
            if let Some(collector) = collector {
                let status = collector.hand_on(body.clone()).await;
                if !status.is_success() {
                    return Ok(plain(status));
                }
            }
            take_update(&mut lock(&state), &body, secret_header)
        }
        (&Method::GET, "/received") => json(&lock(&state).received),
        (&Method::POST, "/control") => match serde_json::from_slice::<Control>(&body)
            .ok()
            .and_then(|control| StatusCode::from_u16(control.status).ok())
        {
            Some(status) => {
                lock(&state).status = status;
                plain(StatusCode::OK)
            }
            None => plain(StatusCode::BAD_REQUEST),
        },
        (&Method::GET, "/healthz") => plain(StatusCode::OK),
        _ => plain(StatusCode::NOT_FOUND),
    })
}

fn take_update(state: &mut State, body: &[u8], secret_header: bool) -> Response<Full<Bytes>> {
    if !state.status.is_success() {
        return plain(state.status);
    }
    let Ok(update) = serde_json::from_slice::<Value>(body) else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let Some(update_id) = update["update_id"].as_i64() else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let message = &update["message"];
    let received = Received { update_id, chat_id: message["chat"]["id"].as_i64(), secret_header };
    println!("update {update_id} of chat {:?}: {}", received.chat_id, message["text"]);
    state.received.push(received);
    plain(state.status)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn json<T: Serialize>(value: &T) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => Response::new(Full::new(body.into())),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
