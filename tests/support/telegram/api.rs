//! The HTTP server: `/bot<token>/<method>` by GET and POST, and `/control/...` (plain HTTP, as a self-hosted Bot API server).

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{
    Simulator,
    answer::ApiAnswer,
    arguments::{Arguments, Unreadable},
    control,
    methods::{self, Reaction},
    record::Caller,
};

const HTML_502: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway\
     </h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// Serves until the future is dropped; connections go on.
pub async fn serve(simulator: Simulator, listener: TcpListener) -> io::Result<Infallible> {
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(serve_connection(simulator.clone(), stream, peer));
    }
}

/// The connection is to be cut instead of answered.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose")]
struct Cut;

async fn serve_connection(simulator: Simulator, stream: TcpStream, peer: SocketAddr) {
    let reset = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        let (simulator, reset) = (simulator.clone(), Arc::clone(&reset));
        Box::pin(async move { respond(&simulator, request, &reset).await })
    });
    let mut connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let served = std::future::poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "connection ended");
    }
    if reset.load(Ordering::Relaxed) {
        let stream = connection.into_parts().io.into_inner();
        // without lingering, the close that follows is a reset
        if let Err(error) = stream.set_zero_linger() {
            tracing::warn!(%error, "can't reset a connection");
        }
    }
}

async fn respond(
    simulator: &Simulator,
    request: Request<Incoming>,
    reset: &AtomicBool,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Err(Cut),
    };
    if let Some(path) = head.uri.path().strip_prefix("/control") {
        let answer =
            control::handle(simulator, &head.method, path, head.uri.query().unwrap_or(""), &body).await;
        return Ok(json_response(answer.status, answer.body, None));
    }
    let reaction = match call(simulator, &head, &body).await {
        Ok(reaction) => reaction,
        Err(unreadable) => Reaction::Empty(unreadable.status),
    };
    match reaction {
        Reaction::Answer(answer) => Ok(api_response(answer)),
        Reaction::Empty(status) => Ok(plain_response(status, "", Bytes::new())),
        Reaction::Html502 => Ok(plain_response(502, "text/html", Bytes::from_static(HTML_502.as_bytes()))),
        Reaction::Hang(time) => {
            sleep(time).await;
            Err(Cut)
        }
        Reaction::Reset => {
            reset.store(true, Ordering::Relaxed);
            Err(Cut)
        }
    }
}

async fn call(
    simulator: &Simulator,
    head: &http::request::Parts,
    body: &Bytes,
) -> Result<Reaction, Unreadable> {
    let Some((token, method)) = head.uri.path().strip_prefix("/bot").and_then(|rest| rest.split_once('/'))
    else {
        return Ok(Reaction::Answer(ApiAnswer::error(404, "Not Found")));
    };
    let mut arguments = Arguments::default();
    arguments.add_form(head.uri.query().unwrap_or("").as_bytes());
    let content_type =
        head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    arguments.add_body(content_type, body)?;
    // a client may escape the colon
    let token = percent_decoded(token);
    match simulator.registry().authenticate(&token) {
        Ok(bot) => {
            let method = method.to_owned();
            // a caller that hangs up doesn't stop what it began
            let call =
                tokio::spawn(async move { methods::call(&bot, &method, &arguments, Caller::Client).await });
            call.await.map_err(|_| Unreadable::new(500, "the method panicked"))
        }
        Err(unauthorized) => Ok(Reaction::Answer(unauthorized)),
    }
}

fn percent_decoded(token: &str) -> String {
    token.replace("%3A", ":").replace("%3a", ":")
}

fn api_response(answer: ApiAnswer) -> Response<Full<Bytes>> {
    json_response(answer.status, answer.body, answer.retry_after)
}

fn json_response(status: u16, body: String, retry_after: Option<u64>) -> Response<Full<Bytes>> {
    let mut response = plain_response(status, "application/json", body.into());
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn plain_response(status: u16, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !content_type.is_empty() {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    response
}
