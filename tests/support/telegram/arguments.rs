//! Arguments of an API call. The Bot API server reads the body of a request and the body of a webhook's 2xx answer with
//! one parser, so both sides of the simulator use this one: query strings, forms, JSON and multipart, as leniently as it does.

mod json;
mod multipart;

use std::borrow::Cow;

/// Most bytes of parameters in one message.
pub const MAX_PARAMETERS: usize = 1 << 20;

/// What a caller passed.
#[derive(Clone, Default)]
pub struct Arguments {
    values: Vec<(String, String)>,
    files: Vec<File>,
}

/// An uploaded file.
#[derive(Clone)]
pub struct File {
    /// The form field's name.
    pub field: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A message that can't be read: the server's HTTP status and text for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// Status that the Bot API server answers a caller with.
    pub status: u16,
    /// Text that it shows as `last_error_message` when the unreadable message is a webhook's answer.
    pub message: String,
}

impl Unreadable {
    /// An unreadable message.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl Arguments {
    /// Arguments given by name.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            values: pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            files: Vec::new(),
        }
    }

    /// Adds those of a query string or form.
    pub fn add_form(&mut self, form: &[u8]) {
        self.values.extend(
            url::form_urlencoded::parse(form).map(|(name, value)| (name.into_owned(), value.into_owned())),
        );
    }

    /// Adds those of a body; types other than form, JSON and multipart hold none.
    pub fn add_body(&mut self, content_type: &str, body: &[u8]) -> Result<(), Unreadable> {
        match BodyKind::of(content_type) {
            BodyKind::Multipart => multipart::parse(content_type, body, self),
            BodyKind::Form | BodyKind::Json if body.len() > MAX_PARAMETERS => Err(too_many_parameters()),
            BodyKind::Form => {
                self.add_form(body);
                Ok(())
            }
            BodyKind::Json => {
                self.values.extend(json::parse(body));
                Ok(())
            }
            BodyKind::Other => Ok(()),
        }
    }

    /// Adds a file.
    pub fn add_file(&mut self, field: &str, content: impl Into<Vec<u8>>) {
        self.files.push(File { field: field.to_owned(), content: content.into() });
    }

    /// The first value of that name, or nothing.
    pub fn get(&self, name: &str) -> &str {
        self.values.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str())
    }

    /// All pairs, in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.values
    }

    /// The file passed as `name`: uploaded in a field of that name, or one that the value `attach://<field>` points to.
    pub fn file(&self, name: &str) -> Option<&File> {
        let field = self.get(name).strip_prefix("attach://").unwrap_or(name);
        self.files.iter().find(|file| file.field == field)
    }

    /// Names and sizes of the files.
    pub fn files(&self) -> &[File] {
        &self.files
    }
}

/// How a body is read. The server looks for these words anywhere in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `multipart/form-data`
    Multipart,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `application/json`
    Json,
    /// Anything else: stored, not looked into.
    Other,
}

impl BodyKind {
    /// That of a `Content-Type`.
    pub fn of(content_type: &str) -> Self {
        let lower = content_type.to_ascii_lowercase();
        if lower.contains("multipart/form-data") {
            Self::Multipart
        } else if lower.contains("application/x-www-form-urlencoded") {
            Self::Form
        } else if lower.contains("application/json") {
            Self::Json
        } else {
            Self::Other
        }
    }
}

/// More than [`MAX_PARAMETERS`].
pub fn too_many_parameters() -> Unreadable {
    Unreadable::new(413, "Request Entity Too Large: too many parameters")
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
