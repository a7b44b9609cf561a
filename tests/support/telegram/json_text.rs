//! JSON as Telegram writes it: keys in the order given, no white space, nothing but ASCII.

use std::fmt::Write as _;

/// An object that is being written.
#[derive(Clone, Debug, Default)]
pub struct Object(String);

impl Object {
    /// No field yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a string.
    pub fn text(self, key: &str, value: &str) -> Self {
        self.raw(key, &quoted(value))
    }

    /// Adds a number.
    pub fn number(self, key: &str, value: i64) -> Self {
        self.raw(key, &value.to_string())
    }

    /// Adds a truth value.
    pub fn flag(self, key: &str, value: bool) -> Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// Adds an object.
    pub fn object(self, key: &str, value: Self) -> Self {
        self.raw(key, &value.finish())
    }

    /// Adds JSON text.
    pub fn raw(mut self, key: &str, json: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0 += &quoted(key);
        self.0.push(':');
        self.0 += json;
        self
    }

    /// The text.
    pub fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }
}

/// A string with everything but ASCII escaped.
pub fn quoted(text: &str) -> String {
    let plain = serde_json::Value::from(text).to_string();
    let mut ascii = String::with_capacity(plain.len());
    for character in plain.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // writing to a string can't fail
                write!(ascii, "\\u{unit:04x}").ok();
            }
        }
    }
    ascii
}
