//! The `drain` command: what the preStop hook runs. A command and not an HTTP hook, because the kubelet would call from outside
//! the pod.

use std::net::SocketAddr;

use http::Method;

use super::client::{AskError, ask};

/// Tells the sidecar at `admin` to drain.
pub async fn request(admin: SocketAddr) -> Result<(), AskError> {
    ask(admin, Method::POST, "/drain").await.map(drop)
}
