//! Asks the admin port of a running sidecar, for the commands that do: the image holds no other client.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the sidecar couldn't be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("the address can't be part of a URL")]
    Address(#[from] http::Error),
    #[error("the admin port can't be reached")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the admin port's answer broke off")]
    Broken(#[from] hyper::Error),
    #[error("the admin port's answer is not understood")]
    Unintelligible(#[from] serde_json::Error),
    #[error("the admin port didn't answer within {0:?}")]
    Timeout(Duration),
    #[error("the admin port answered {status}: {reason}")]
    Refused { status: StatusCode, reason: String },
}

/// What the sidecar at `admin` answers.
pub async fn ask(admin: SocketAddr, method: Method, path: &str) -> Result<Bytes, AskError> {
    ask_within(admin, method, path, TIMEOUT).await
}

/// The same of what may take longer.
pub async fn ask_within(
    admin: SocketAddr,
    method: Method,
    path: &str,
    limit: Duration,
) -> Result<Bytes, AskError> {
    let uri = Uri::builder().scheme("http").authority(admin.to_string()).path_and_query(path).build()?;
    let request = Request::builder().method(method).uri(uri).body(Empty::<Bytes>::new())?;
    timeout(limit, send(request)).await.unwrap_or(Err(AskError::Timeout(limit)))
}

async fn send(request: Request<Empty<Bytes>>) -> Result<Bytes, AskError> {
    let response = Client::builder(TokioExecutor::new()).build_http().request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status.is_success() {
        Ok(body)
    } else {
        Err(AskError::Refused { status, reason: String::from_utf8_lossy(&body).into_owned() })
    }
}
