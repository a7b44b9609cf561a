//! Whether Telegram sent it: 401 unless the request carries, once, the token that belongs to its path, and, where a relay signs,
//! the relay's signature over the body.

mod signature;
mod token;

use http::{HeaderMap, HeaderValue, header::AsHeaderName};

pub(super) use self::token::token;
pub use self::{signature::verify as verify_signature, token::TOKEN_HEADER};

/// How often a header is there that has to be there once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotOnce {
    Missing,
    Repeated,
}

/// The value of a header that is there once: which of several is meant is a question that other parsers answer differently.
fn once(headers: &HeaderMap, name: impl AsHeaderName) -> Result<&HeaderValue, NotOnce> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(NotOnce::Missing),
        (Some(value), None) => Ok(value),
        (Some(_), Some(_)) => Err(NotOnce::Repeated),
    }
}

#[cfg(test)]
mod timing;
