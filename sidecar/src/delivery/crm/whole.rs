//! Reads an answer that somebody wants to see.

use std::{future::poll_fn, pin::Pin, task::Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};

use super::connection::Connection;
use crate::delivery::Withheld;

/// All of a body that is no longer than `most`.
pub(super) async fn read(
    connection: &mut Connection,
    body: &mut Incoming,
    most: usize,
) -> Result<Bytes, Withheld> {
    let mut whole = BytesMut::new();
    poll_fn(|cx| {
        let mut driven = false;
        loop {
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap_or_default();
                    if whole.len() + data.len() > most {
                        return Poll::Ready(Err(Withheld::TooLong));
                    }
                    whole.extend_from_slice(&data);
                    driven = false;
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Withheld::Incomplete)),
                Poll::Ready(None) => return Poll::Ready(Ok(whole.split().freeze())),
                Poll::Pending if driven => return Poll::Pending,
                Poll::Pending => {
                    connection.drive(cx);
                    driven = true;
                }
            }
        }
    })
    .await
}
