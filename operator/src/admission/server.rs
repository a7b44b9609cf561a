//! The HTTP side of the admission webhook: one path, reviews of bounded size and number in memory, answers in bounded time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use rustls::ServerConfig;
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    review::{LookUp, Reviewer},
    size,
};
use crate::server::{Handler, Place, Server};

/// Path of the mutating webhook.
const INJECT_PATH: &str = "/inject";
/// The API server takes objects of up to 3 MiB.
const MAX_BODY_BYTES: u32 = 3 << 20;
/// All reviews that are read or worked on at a time. Anybody in the cluster may send some, and the operator has little memory.
const MAX_BODY_BYTES_TOGETHER: usize = 8 << 20;
/// Larger bodies don't wait for room, as all that come after them would wait with them: a pod rarely takes a tenth of this.
const MAX_WAITING_BYTES: u32 = 256 << 10;
/// Values in a review, which are what it takes memory for: several times what a pod with a thousand variables has.
const MAX_VALUES: usize = 30_000;
const MAX_VALUES_TOGETHER: usize = 60_000;
/// API servers have a few each.
const MAX_CONNECTIONS: usize = 128;
/// API servers give theirs up after 90 s: we must not be first, or a request that is just on its way is lost.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// For reading a body: an API server has it ready.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);
/// For reading and answering one request. Less than the 5 s after which the API server gives up.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(4500);

/// Serves until `shutdown`, then finishes the requests under way.
pub async fn serve<L: LookUp>(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    reviewer: Reviewer<L>,
    shutdown: CancellationToken,
) {
    let server = Server {
        listener,
        tls: Some(tls),
        handler: Admission {
            reviewer,
            bytes: Semaphore::new(MAX_BODY_BYTES_TOGETHER),
            values: Semaphore::new(MAX_VALUES_TOGETHER),
        },
        max_connections: MAX_CONNECTIONS,
        idle_timeout: IDLE_TIMEOUT,
    };
    server.run(shutdown).await;
}

struct Admission<L> {
    reviewer: Reviewer<L>,
    /// Bytes and values that further reviews may have.
    bytes: Semaphore,
    values: Semaphore,
}

impl<L: LookUp> Handler for Admission<L> {
    /// Whoever sends anything but a review is no API server, and gives its place back.
    async fn handle(&self, place: &Place, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let mut response = self.route(request).await;
        if response.status() == StatusCode::OK {
            place.prove();
        } else {
            response.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        }
        response
    }
}

impl<L: LookUp> Admission<L> {
    async fn route(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != INJECT_PATH {
            return text(StatusCode::NOT_FOUND, "not found");
        }
        if request.method() != Method::POST {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use POST");
            response.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("POST"));
            return response;
        }
        match timeout(REQUEST_TIMEOUT, self.answer(request.into_body())).await {
            Ok(Ok(response) | Err(response)) => response,
            Err(_) => text(StatusCode::GATEWAY_TIMEOUT, "the review took too long, try again"),
        }
    }

    /// Answers a review, or says why it is none.
    async fn answer(&self, body: Incoming) -> Result<Response<Full<Bytes>>, Response<Full<Bytes>>> {
        let too_large = || text(StatusCode::PAYLOAD_TOO_LARGE, "the review is larger than 3 MiB");
        // a body without a length is taken for the largest
        let size = body.size_hint().upper().unwrap_or_else(|| MAX_BODY_BYTES.into());
        let size = u32::try_from(size).ok().filter(|&size| size <= MAX_BODY_BYTES).ok_or_else(too_large)?;
        let internal = |error: &dyn ToString| text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
        // given back with the answer
        let _bytes = if size > MAX_WAITING_BYTES {
            let busy =
                |_| text(StatusCode::SERVICE_UNAVAILABLE, "too many large reviews at a time, try again");
            self.bytes.try_acquire_many(size).map_err(busy)?
        } else {
            self.bytes.acquire_many(size).await.map_err(|error| internal(&error))?
        };

        let read = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES as usize).collect()).await;
        let body = match read {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
            Ok(Err(_)) => return Err(text(StatusCode::BAD_REQUEST, "the body can't be read")),
            Err(_) => return Err(text(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
        };
        let values = size::values(&body);
        let values = u32::try_from(values).ok().filter(|_| values <= MAX_VALUES);
        let values =
            values.ok_or_else(|| text(StatusCode::PAYLOAD_TOO_LARGE, "the review has too many parts"))?;
        let _values = self.values.acquire_many(values).await.map_err(|error| internal(&error))?;

        let review = self.reviewer.review(&body).await;
        let review = review.map_err(|error| text(StatusCode::BAD_REQUEST, error.to_string()))?;
        let json = serde_json::to_vec(&review).map_err(|error| internal(&error))?;
        let mut response = Response::new(Full::from(json));
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        Ok(response)
    }
}

fn text(status: StatusCode, message: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(message.into()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
