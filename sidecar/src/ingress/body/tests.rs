use std::convert::Infallible;

use futures::{Stream, StreamExt as _, stream};
use http_body_util::{Full, StreamBody};

use super::*;
use crate::test_util::{policy, raw_config};

/// Reads a body of which at most 10 bytes are taken.
async fn read_up_to_10<B: Body<Data = Bytes>>(body: B) -> Result<Bytes, Reject> {
    let mut config = raw_config("a");
    config.limits.max_body_bytes = 10;
    let policy = policy(&[config]).load_full();
    read(body, &HeaderMap::new(), &policy.webhooks()[0].limits).await
}

/// The parts, each in a frame of its own.
fn frames(parts: &'static [&'static str]) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
    stream::iter(parts).map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes()))))
}

/// Reads the parts, the first of which comes after a wait.
async fn read_later(parts: &'static [&'static str]) -> Result<Bytes, Reject> {
    let later = stream::once(tokio::task::yield_now()).flat_map(|()| frames(parts));
    read_up_to_10(StreamBody::new(pin!(later))).await
}

#[tokio::test]
async fn a_body_that_came_with_the_head_is_not_copied() {
    let body = Bytes::from(vec![b'a'; 10]);
    let read = read_up_to_10(Full::new(body.clone())).await.unwrap();
    assert_eq!((read.as_ptr(), read.len()), (body.as_ptr(), 10));
    let eleven = read_up_to_10(Full::new(Bytes::from_static(&[b'a'; 11]))).await;
    assert!(matches!(eleven, Err(Reject::BodyTooLarge)));
}

#[tokio::test]
async fn a_body_in_parts_is_put_together() {
    for (parts, whole) in [(&[][..], ""), (&["a"], "a"), (&["ab", "", "cdefg", "hij"], "abcdefghij")] {
        assert_eq!(read_later(parts).await.unwrap(), whole);
        assert_eq!(read_up_to_10(StreamBody::new(frames(parts))).await.unwrap(), whole);
    }
    assert!(matches!(read_later(&["abcdefghij", "k"]).await, Err(Reject::BodyTooLarge)));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_incomplete() {
    for before in [0, 1] {
        let whole = stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(b"a")))).take(before);
        let broken = whole.chain(stream::iter([Err("broken")]));
        assert!(matches!(read_up_to_10(StreamBody::new(broken)).await, Err(Reject::BodyIncomplete)));
    }
}

#[test]
fn a_body_that_is_kept_keeps_no_buffer_of_a_connection() {
    let buffer = Bytes::from(vec![b'a'; MAX_BUFFER]);
    let body = buffer.slice(10..20);
    let kept = detached(body.clone());
    assert_eq!(kept, body);
    drop(body);
    // nobody else holds the buffer
    assert!(buffer.is_unique() && kept.is_unique());
}
