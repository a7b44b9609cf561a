//! The strict parser: an error names the field, its place in the file and what belongs there, and never a value.

use serde::{Deserialize, de::IgnoredAny};

/// Why a configuration file can't be read. Names the field, never a value.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ParseError {
    /// Path of the field, such as `slots[0].path`; a dot where it is no single field.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Where in a file a part of it begins; counts from 1, as serde_json does.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    line: usize,
    column: usize,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// The position behind these bytes.
    pub(crate) fn after(self, bytes: &[u8]) -> Self {
        let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
        let since_line = bytes.iter().rev().take_while(|byte| **byte != b'\n').count();
        let column = if lines == 0 { self.column } else { 1 };
        Self { line: self.line + lines, column: column + since_line }
    }

    /// The place in the file of a place in the part.
    fn of(self, error: &serde_json::Error) -> Self {
        let first = error.line() == 1;
        let column = error.column() + if first { self.column - 1 } else { 0 };
        Self { line: error.line() + self.line - 1, column }
    }
}

/// Reads all of `bytes`, which begin at `start` in their file.
pub(crate) fn parse_at<'a, T: Deserialize<'a>>(start: Position, bytes: &'a [u8]) -> Result<T, ParseError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        // what ended too early has no path
        let field = if field == "?" { ".".to_owned() } else { field };
        let reason = reason(error.inner(), &field, start, bytes);
        ParseError { field, reason }
    })?;
    json.end()
        .map_err(|error| ParseError { field: ".".to_owned(), reason: reason(&error, ".", start, bytes) })?;
    Ok(parsed)
}

/// What is wrong, and where. serde's messages quote values (`invalid type: string "..."`), and a value may be a secret: only what
/// was expected is taken from them, and of that only what we know.
fn reason(error: &serde_json::Error, field: &str, start: Position, bytes: &[u8]) -> String {
    use serde_json::error::Category;
    let Position { line, column } = start.of(error);
    match error.classify() {
        Category::Eof => format!("the file ends too early, at line {line}"),
        // a number where an enum's word belongs is called no JSON
        Category::Syntax if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() => {
            format!("must be a string, at line {line}, column {column}")
        }
        Category::Syntax | Category::Io => format!("not JSON at line {line}, column {column}"),
        Category::Data => {
            let text = error.to_string();
            // the place is that in the part
            let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
            // these quote names of fields only
            if ["missing field", "unknown field", "duplicate field"].iter().any(|kind| what.starts_with(kind))
            {
                return format!("{what} at line {line}, column {column}");
            }
            // whatever a value holds is in front of the last one
            let expected = what.rsplit_once(", expected ").and_then(|(_, expected)| must_be(expected, field));
            let what = expected.unwrap_or_else(|| "wrong type or value".to_owned());
            format!("{what}, at line {line}, column {column}")
        }
    }
}

/// In plain words what serde expected.
fn must_be(expected: &str, field: &str) -> Option<String> {
    let number = |bounds: &str| {
        let unit = [("Seconds", " of seconds"), ("Bytes", " of bytes")];
        let unit = unit.iter().find(|(end, _)| field.ends_with(end)).map_or("", |(_, unit)| unit);
        format!("a whole number{unit}{bounds}")
    };
    let what = match expected {
        "a string" => "a string".to_owned(),
        "a sequence" => "a list".to_owned(),
        "u16" => number(", 0 to 65535"),
        "u32" | "u64" | "usize" => number(", 0 or above"),
        "i64" => number(""),
        "a map" | "a webhook" => "an object".to_owned(),
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged enum ") => {
            "an object".to_owned()
        }
        // words of an enum
        _ if expected.starts_with('`') || expected.starts_with("one of `") => {
            expected.replace('`', "").replace(" or ", ", ").trim_start_matches("one of ").to_owned()
        }
        _ => return None,
    };
    let one_of = if expected.contains('`') { "one of " } else { "" };
    Some(format!("must be {one_of}{what}"))
}

#[cfg(test)]
mod tests {
    use crate::{WebhookConfig, parse_file};

    fn reason(fields: &str) -> String {
        let text = format!("{{\"webhook\": \"a/b\", {fields}}}");
        let reason = WebhookConfig::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(!reason.contains("SECRET"), "{reason}");
        reason.rsplit_once(", at line ").map_or_else(|| panic!("{reason}"), |(reason, _)| reason.to_owned())
    }

    #[test]
    fn an_error_says_what_is_right_and_quotes_no_value() {
        let sources = "must be one of Peer, ProxyProtocol, XForwardedFor";
        for (fields, expected) in [
            (r#""botId": "SECRET""#, "botId: must be a whole number"),
            (r#""botId": 1.5"#, "botId: must be a whole number"),
            (r#""host": 7"#, "host: must be a string"),
            (r#""upstream": {"port": 70000}"#, "upstream.port: must be a whole number, 0 to 65535"),
            (r#""upstream": "SECRET, expected u16""#, "upstream: must be an object"),
            (r#""slots": {}"#, "slots: must be a list"),
            (r#""slots": [{"secretToken": ["SECRET"]}]"#, "slots[0].secretToken: must be a string"),
            (r#""clientAddress": {"source": "SECRET"}"#, &format!("clientAddress.source: {sources}")),
            (
                r#""clientAddress": {"source": "x`, expected `SECRET` at line 1"}"#,
                &format!("clientAddress.source: {sources}"),
            ),
            (r#""clientAddress": {"source": 5}"#, "clientAddress.source: must be a string"),
            (
                r#""sourceAddress": {"refusal": "close"}"#,
                "sourceAddress.refusal: must be one of Status, Close",
            ),
            (
                r#""limits": {"bodyTimeoutSeconds": "10s"}"#,
                "limits.bodyTimeoutSeconds: must be a whole number of seconds, 0 or above",
            ),
            (
                r#""limits": {"unauthenticated": {"windowSeconds": -1}}"#,
                "limits.unauthenticated.windowSeconds: must be a whole number of seconds, 0 or above",
            ),
            (
                r#""limits": {"maxBodyBytes": "1Mi"}"#,
                "limits.maxBodyBytes: must be a whole number of bytes, 0 or above",
            ),
            (r#""limits": {"ban": 0}"#, "limits.ban: must be an object"),
            (r#""hmac": {"scheme": "SECRET"}"#, "hmac.scheme: must be one of Body, StandardWebhooks"),
            (
                r#""filter": {"chatTypes": ["forum"]}"#,
                "filter.chatTypes[0]: must be one of private, group, supergroup, channel",
            ),
        ] {
            assert_eq!(reason(fields), expected, "{fields}");
        }
    }

    #[test]
    fn a_webhook_in_a_file_that_is_no_object_is_told_so() {
        let webhook = parse_file(br#"{"webhooks": ["SECRET"]}"#).unwrap().remove(0);
        assert_eq!(webhook.content.unwrap_err().reason, "must be an object, at line 1, column 22");
    }
}
