//! Reads answers of HTTP servers that aren't ours to trust: never more than was meant to be read.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is longer than allowed.
    #[error("the answer is too long")]
    TooLong,
    /// The connection broke, or took too long. Without the URL, which may hold a secret.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
}

/// The body of `response`, if it is no longer than `limit`.
pub async fn read_at_most(mut response: Response, limit: usize) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Error::Broken(error.without_url()))? {
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(body: &'static str) -> Response {
        http::Response::new(body).into()
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit_and_not_beyond() {
        assert_eq!(read_at_most(response("12345"), 5).await.unwrap(), "12345");
        assert!(matches!(read_at_most(response("123456"), 5).await, Err(Error::TooLong)));
    }
}
