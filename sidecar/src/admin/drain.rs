//! The `drain` command: what the preStop hook runs. A command and not an HTTP hook, because the kubelet would call from outside
//! the pod.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Why the sidecar couldn't be told.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    #[error("the address can't be part of a URL")]
    Address(#[from] http::Error),
    #[error("the admin port can't be reached")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the admin port didn't answer within {TIMEOUT:?}")]
    Timeout,
    #[error("the admin port answered {0}")]
    Refused(StatusCode),
}

/// Tells the sidecar at `admin` to drain.
pub async fn request(admin: SocketAddr) -> Result<(), DrainError> {
    let uri = Uri::builder().scheme("http").authority(admin.to_string()).path_and_query("/drain").build()?;
    let request = Request::post(uri).body(Empty::<Bytes>::new())?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = timeout(TIMEOUT, client.request(request)).await.map_err(|_| DrainError::Timeout)??;
    if response.status().is_success() { Ok(()) } else { Err(DrainError::Refused(response.status())) }
}
