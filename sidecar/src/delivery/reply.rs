//! Whether the CRM's answer may go on to Telegram, which would run what it says as the bot.
//!
//! Telegram reads `method` from the outermost object of a 2xx answer, and so does this: nothing passes of which the two could think
//! differently, above all no second `method` in whatever case.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::{
    Deserializer as _,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

use crate::config::ReplyMethods;

/// Longest answer that passes.
pub(super) const MAX_LENGTH: usize = 64 << 10;
/// Where an answer names the method.
const METHOD: &str = "method";

/// The CRM's answer, to be handed on byte for byte: a call of a method that it may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(Bytes);

/// Whether the head of an answer announces JSON, and nothing else.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let Ok(only) = only.to_str() else { return false };
    let essence = only.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") && !headers.contains_key(header::CONTENT_ENCODING)
}

// === impl Reply ===

impl Reply {
    /// None where it doesn't pass.
    pub(super) fn check(body: Bytes, methods: &ReplyMethods) -> Option<Self> {
        if body.len() > MAX_LENGTH {
            return None;
        }
        // what is skipped is not looked at so closely
        let method = method(str::from_utf8(&body).ok()?).ok()?;
        methods.allow(&method).then_some(Self(body))
    }

    pub fn into_body(self) -> Bytes {
        self.0
    }
}

/// The one method that an answer calls.
fn method(body: &str) -> Result<String, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let method = deserializer.deserialize_map(Call)?;
    deserializer.end()?;
    Ok(method)
}

struct Call;

impl<'de> Visitor<'de> for Call {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one method")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut method = None;
        while let Some(name) = map.next_key::<String>()? {
            if !name.trim().eq_ignore_ascii_case(METHOD) {
                map.next_value::<IgnoredAny>()?;
            } else if method.is_some() || name != METHOD {
                return Err(Error::custom("there is more than one"));
            } else {
                method = Some(map.next_value::<String>()?);
            }
        }
        method.ok_or_else(|| Error::missing_field(METHOD))
    }
}

#[cfg(test)]
mod tests;
