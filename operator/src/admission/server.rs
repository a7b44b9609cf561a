//! The HTTPS server of the admission webhook. Everything that a client can make grow or wait has a bound.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::review::{LookUp, Reviewer};

/// Path of the mutating webhook.
const INJECT_PATH: &str = "/inject";
/// The API server takes objects of up to 3 MiB.
const MAX_BODY_BYTES: usize = 3 << 20;
/// Connections at a time; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 256;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Also how long a connection may be idle. API servers give theirs up after 90 s: we must not be first, or a request that
/// is just on its way is lost.
const HEADER_TIMEOUT: Duration = Duration::from_mins(2);
/// For reading and answering one request. Less than the 5 s after which the API server gives up.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(4500);
/// What requests under way get to finish in after the shutdown began.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Before accepting again after a failure, such as no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown`, then finishes the requests under way.
pub async fn serve<L: LookUp>(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    reviewer: Arc<Reviewer<L>>,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let connection =
                    serve_connection(stream, acceptor.clone(), Arc::clone(&reviewer), graceful.watcher());
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept an admission connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("admission connections were still busy when the time to drain was over");
    }
}

/// Waits for a free place first, so that a flood stays in the kernel.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await;
    let permit = permit.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn serve_connection<L: LookUp>(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    reviewer: Arc<Reviewer<L>>,
    watcher: Watcher,
) {
    let stream = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        // port scans and probes that only connect end here too
        Ok(Err(error)) => return tracing::debug!(%error, "admission handshake failed"),
        Err(_) => return tracing::debug!("admission handshake took too long"),
    };
    let service = service_fn(move |request| {
        let reviewer = Arc::clone(&reviewer);
        async move { Ok::<_, Infallible>(handle(&reviewer, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "admission connection ended early");
    }
}

async fn handle<L: LookUp>(reviewer: &Reviewer<L>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != INJECT_PATH {
        return text(StatusCode::NOT_FOUND, "not found");
    }
    if request.method() != Method::POST {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use POST");
        response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("POST"));
        return response;
    }
    match timeout(REQUEST_TIMEOUT, answer(reviewer, request.into_body())).await {
        Ok(response) => response,
        Err(_) => text(StatusCode::GATEWAY_TIMEOUT, "the review took too long, try again"),
    }
}

async fn answer<L: LookUp>(reviewer: &Reviewer<L>, body: Incoming) -> Response<Full<Bytes>> {
    let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "the review is larger than 3 MiB");
        }
        Err(_) => return text(StatusCode::BAD_REQUEST, "the body can't be read"),
    };
    let review = match reviewer.review(&body).await {
        Ok(review) => review,
        Err(error) => return text(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match serde_json::to_vec(&review) {
        Ok(json) => {
            let mut response = Response::new(Full::from(json));
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn text(status: StatusCode, message: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(message.into()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
