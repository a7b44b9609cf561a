//! The queries of the admin port's URLs. Read strictly: one that is not what was meant may replay more than was meant.
//!
//! A plus is a plus, as in the offset of a time; everything may be percent-encoded.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What is wrong with a query, and how to put it right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {reason}")]
pub struct QueryError {
    pub parameter: String,
    pub reason: String,
}

/// A query whose parameters are all known, and each there once.
pub(super) struct Query<'a>(Vec<(&'a str, Cow<'a, str>)>);

// === impl QueryError ===

impl QueryError {
    pub(super) fn new(parameter: impl Into<String>, reason: impl Display) -> Self {
        Self { parameter: parameter.into(), reason: reason.to_string() }
    }
}

// === impl Query ===

impl<'a> Query<'a> {
    pub(super) fn read(text: Option<&'a str>, known: &[&str]) -> Result<Self, QueryError> {
        let mut parameters: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                let reason = format!("there is no such parameter; there are: {}", known.join(", "));
                return Err(QueryError::new(name, reason));
            }
            if parameters.iter().any(|(earlier, _)| *earlier == name) {
                return Err(QueryError::new(name, "is there more than once: leave one of them"));
            }
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| QueryError::new(name, "must be UTF-8, percent-encoded"))?;
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(there, _)| *there == name).map(|(_, value)| &**value)
    }

    /// A parameter that is there only to say yes.
    pub(super) fn flag(&self, name: &str) -> Result<bool, QueryError> {
        match self.text(name) {
            None => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(QueryError::new(name, "must be true, or left out")),
        }
    }

    pub(super) fn get<T, E: Display>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, QueryError> {
        let read = self.text(name).map(read).transpose();
        read.map_err(|reason| QueryError::new(name, reason))
    }
}

/// A path with a query, as [`Query::read`] reads it.
pub(super) fn written(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut written = path.to_owned();
    let there = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (index, (name, value)) in there.enumerate() {
        written.push(if index == 0 { '?' } else { '&' });
        written.push_str(name);
        written.push('=');
        written.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    written
}

/// Reads a time as RFC 3339 writes it.
pub fn time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "must be a time with its offset, such as 2026-11-24T09:30:00Z")
}

/// Reads the id of a chat or a user.
pub(super) fn chat(text: &str) -> Result<i64, &'static str> {
    FromStr::from_str(text).map_err(|_| "must be the id of a chat or a user: a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["chat", "since", "all"];

    fn wrong(text: &str) -> String {
        let reason = Query::read(Some(text), &KNOWN).and_then(|query| {
            query.get("chat", chat)?;
            query.get("since", time)?;
            query.flag("all")
        });
        reason.unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let values = ["crm/a & b=+%?#", "", "ü", "2026-11-24T10:30:00+01:00"];
        for value in values {
            let path = written("/x", &[("chat", None), ("since", Some(value.to_owned()))]);
            let query = path.strip_prefix("/x?").unwrap();
            assert_eq!(Query::read(Some(query), &KNOWN).unwrap().text("since"), Some(value), "{query}");
        }
        assert_eq!(written("/x", &[("chat", None)]), "/x");
    }

    #[test]
    fn a_plus_is_a_plus() {
        let query = Query::read(Some("since=2026-11-24T10:30:00+01:00"), &KNOWN).unwrap();
        assert_eq!(query.get("since", time).unwrap(), Some("2026-11-24T09:30:00Z".parse().unwrap()));
    }

    #[test]
    fn a_mistake_is_told_with_its_parameter_and_what_to_do() {
        let unknown = "there is no such parameter; there are: chat, since, all";
        assert_eq!(wrong("chta=1"), format!("chta: {unknown}"));
        assert_eq!(wrong("chat=1&Chat=2"), format!("Chat: {unknown}"));
        assert_eq!(wrong("chat=1&all=true&chat=1"), "chat: is there more than once: leave one of them");
        assert_eq!(wrong("chat=%ff"), "chat: must be UTF-8, percent-encoded");
        for nothing in ["chat", "chat=", "chat=x", "chat=1.5", "chat=99999999999999999999", "chat= 1"] {
            assert_eq!(wrong(nothing), "chat: must be the id of a chat or a user: a number", "{nothing}");
        }
        for no_time in
            ["since=", "since=yesterday", "since=2026-11-24", "since=2026-11-24T10:30:00", "since=5"]
        {
            let reason = "since: must be a time with its offset, such as 2026-11-24T09:30:00Z";
            assert_eq!(wrong(no_time), reason, "{no_time}");
        }
        for unsure in ["all", "all=", "all=false", "all=1", "all=TRUE"] {
            assert_eq!(wrong(unsure), "all: must be true, or left out", "{unsure}");
        }
    }

    #[test]
    fn no_query_and_an_empty_one_are_the_same() {
        for nothing in [None, Some(""), Some("&")] {
            assert!(!Query::read(nothing, &KNOWN).unwrap().has("chat"));
        }
    }
}
