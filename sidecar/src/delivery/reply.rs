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

/// Why Telegram doesn't get what the CRM said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// No method is allowed, so nobody looks.
    NoneAllowed,
    /// Telegram would take it in that form, but we don't look into that.
    Form,
    /// Neither JSON nor a form: it says nothing to Telegram either.
    NotJson,
    TooLong,
    /// It broke off, or took too long.
    Incomplete,
    /// It is no object with one method.
    NoCall,
    /// The CRM may not call that method.
    NotAllowed,
}

/// What the head of an answer says of it: whether it may be one that passes.
pub(super) fn judge_head(headers: &HeaderMap, methods: &ReplyMethods) -> Result<(), Withheld> {
    let (is_json, is_form) = (is_json(headers), is_form(headers));
    match (is_json || is_form, methods.is_empty()) {
        (false, _) => Err(Withheld::NotJson),
        (true, true) => Err(Withheld::NoneAllowed),
        (true, false) if is_json => Ok(()),
        (true, false) => Err(Withheld::Form),
    }
}

/// Whether it announces JSON, and nothing else.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = essences(headers);
    let only = types.next().filter(|only| only.eq_ignore_ascii_case("application/json"));
    only.is_some() && types.next().is_none() && !headers.contains_key(header::CONTENT_ENCODING)
}

/// Whether Telegram would look for a call in it besides.
fn is_form(headers: &HeaderMap) -> bool {
    let forms = ["application/x-www-form-urlencoded", "multipart/form-data"];
    essences(headers).any(|essence| forms.iter().any(|form| essence.eq_ignore_ascii_case(form)))
}

/// The types of content that a head names, one for each time; empty where it can't be read.
fn essences(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(header::CONTENT_TYPE).iter().map(|value| {
        let value = value.to_str().unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim()
    })
}

// === impl Withheld ===

impl Withheld {
    /// Name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoneAllowed => "none_allowed",
            Self::Form => "form",
            Self::NotJson => "not_json",
            Self::TooLong => "too_long",
            Self::Incomplete => "incomplete",
            Self::NoCall => "no_call",
            Self::NotAllowed => "not_allowed",
        }
    }
}

// === impl Reply ===

impl Reply {
    /// Looks at all of an answer.
    pub(super) fn check(body: Bytes, methods: &ReplyMethods) -> Result<Self, Withheld> {
        if body.len() > MAX_LENGTH {
            return Err(Withheld::TooLong);
        }
        // what is skipped is not looked at so closely
        let text = str::from_utf8(&body).map_err(|_| Withheld::NoCall)?;
        let method = method(text).map_err(|_| Withheld::NoCall)?;
        if methods.allow(&method) { Ok(Self(body)) } else { Err(Withheld::NotAllowed) }
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
