//! Gets an answer's body, which nobody wants to see, out of the way of the next request.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};

use super::connection::Connection;

/// What is read of a body to use its connection again; to connect anew costs less than to read more.
pub(super) const MAX_DISCARDED: usize = 64 << 10;

/// Reads an answer to its end, and sends the rest of the request where the CRM answered before it had all of it. Ends with the
/// connection if that can be used again.
pub(super) struct Discard {
    connection: Option<Connection>,
    /// Gone when it has ended.
    body: Option<Incoming>,
    read: usize,
}

// === impl Discard ===

impl Discard {
    pub(super) fn new(connection: Connection, body: Incoming) -> Self {
        Self { connection: Some(connection), body: Some(body), read: 0 }
    }
}

impl Future for Discard {
    type Output = Option<Connection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(connection) = &mut this.connection else { return Poll::Ready(None) };
        let mut driven = false;
        while let Some(body) = &mut this.body {
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.read += frame.data_ref().map_or(0, Bytes::len);
                    if this.read > MAX_DISCARDED {
                        return Poll::Ready(None);
                    }
                    driven = false;
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(None),
                Poll::Ready(None) => this.body = None,
                Poll::Pending if driven => return Poll::Pending,
                Poll::Pending => {
                    connection.drive(cx);
                    driven = true;
                }
            }
        }
        if !connection.is_idle() {
            connection.drive(cx);
        }
        if connection.is_idle() {
            Poll::Ready(this.connection.take())
        } else if connection.has_ended() {
            Poll::Ready(None)
        } else {
            Poll::Pending
        }
    }
}
