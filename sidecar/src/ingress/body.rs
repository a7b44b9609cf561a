//! Reads the body into memory: 413 beyond the cap, 408 beyond the deadline. Runs after authentication, so that a stranger can
//! make us hold nothing.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::time::timeout;

use super::Reject;
use crate::config::Limits;

pub(super) async fn read<B: Body<Data = Bytes>>(
    body: B,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<Bytes, Reject> {
    let announced = content_length(headers);
    if announced.is_some_and(|length| length > limits.max_body_bytes) {
        return Err(Reject::BodyTooLarge);
    }
    let buffer = BytesMut::with_capacity(announced.unwrap_or_default());
    timeout(limits.body_timeout, collect(body, buffer, limits.max_body_bytes))
        .await
        .unwrap_or(Err(Reject::BodyTimeout))
}

async fn collect<B: Body<Data = Bytes>>(body: B, mut buffer: BytesMut, max: usize) -> Result<Bytes, Reject> {
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Reject::BodyIncomplete)?;
        let Some(data) = frame.data_ref() else {
            continue; // trailers
        };
        if buffer.len() + data.len() > max {
            return Err(Reject::BodyTooLarge);
        }
        buffer.extend_from_slice(data);
    }
    Ok(buffer.freeze())
}

/// hyper has refused several lengths, and those that are no number, before we see them. One too large for `usize` is too large.
fn content_length(headers: &HeaderMap) -> Option<usize> {
    let value = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    Some(value.parse().unwrap_or(usize::MAX))
}
