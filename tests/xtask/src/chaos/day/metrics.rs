//! What the sidecar counts.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Updates that were dropped because nobody waits for them any more, so far.
pub async fn expired(admin: SocketAddr) -> anyhow::Result<u64> {
    let mut sidecar = TcpStream::connect(admin).await.context("ask the sidecar")?;
    sidecar.write_all(b"GET /metrics HTTP/1.1\r\nHost: sidecar\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    sidecar.read_to_string(&mut answer).await?;
    let line =
        answer.lines().find(|line| line.contains("deliveries_total{") && line.contains(r#""expired""#));
    // there is no line before there is something to count
    let Some(line) = line else { return Ok(0) };
    line.rsplit(' ')
        .next()
        .and_then(|count| count.parse().ok())
        .with_context(|| format!("not a count: {line}"))
}
