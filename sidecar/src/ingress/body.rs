//! Reads the body into memory: 413 beyond the cap, 408 beyond the deadline. Runs after authentication, so that a stranger can
//! make us hold nothing.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use tokio::time::timeout;

use super::Reject;
use crate::{config::Limits, server::MAX_BUFFER};

pub(super) async fn read<B: Body<Data = Bytes>>(
    body: B,
    headers: &HeaderMap,
    limits: &Limits,
) -> Result<Bytes, Reject> {
    let announced = content_length(headers);
    if announced.is_some_and(|length| length > limits.max_body_bytes) {
        return Err(Reject::BodyTooLarge);
    }
    let mut body = pin!(body);
    // mostly all of it came with the head: then there is nothing to wait for, so no timer, and nothing to copy
    let first = match poll_fn(|cx| Poll::Ready(body.as_mut().poll_frame(cx))).await {
        Poll::Ready(Some(frame)) => data(frame)?,
        Poll::Ready(None) => return Ok(Bytes::new()),
        Poll::Pending => Bytes::new(),
    };
    if first.len() > limits.max_body_bytes {
        return Err(Reject::BodyTooLarge);
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut buffer = BytesMut::with_capacity(announced.unwrap_or_default());
    buffer.extend_from_slice(&first);
    timeout(limits.body_timeout, collect(body, buffer, limits.max_body_bytes))
        .await
        .unwrap_or(Err(Reject::BodyTimeout))
}

/// The body in memory of its own, if it may be in a buffer of the connection: that is many times as large, and stays as long as the
/// body does, while the connection makes itself a new one.
pub(super) fn detached(body: Bytes) -> Bytes {
    if body.len() <= MAX_BUFFER { Bytes::copy_from_slice(&body) } else { body }
}

/// Reads on to the end, behind what is in the buffer.
async fn collect<B: Body<Data = Bytes>>(
    mut body: Pin<&mut B>,
    mut buffer: BytesMut,
    max: usize,
) -> Result<Bytes, Reject> {
    while let Some(frame) = body.frame().await {
        let data = data(frame)?;
        if buffer.len() + data.len() > max {
            return Err(Reject::BodyTooLarge);
        }
        buffer.extend_from_slice(&data);
    }
    Ok(buffer.freeze())
}

/// What a frame adds to the body: trailers add nothing.
fn data<E>(frame: Result<Frame<Bytes>, E>) -> Result<Bytes, Reject> {
    let frame = frame.map_err(|_| Reject::BodyIncomplete)?;
    Ok(frame.into_data().unwrap_or_default())
}

/// hyper has refused several lengths, and those that are no number, before we see them. One too large for `usize` is too large.
fn content_length(headers: &HeaderMap) -> Option<usize> {
    let value = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    Some(value.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests;
