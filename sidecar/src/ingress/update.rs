//! What the request path needs to know of an update, read from its bytes without building a tree.
//!
//! The bytes are the CRM's and stay as they are. Telegram's own may be invalid UTF-8 (a button's data is whatever its sender made it),
//! so what is read is a lossy view of them. Chat and user come from the places that reference documentation names for each kind, never
//! from a message inside of another: those are chosen by whoever writes the message. What isn't read may be anything, nested
//! as deep as it likes; what is read must be as Telegram documents it, once, or the update is [`Malformed`].

mod envelope;
mod facts;
mod kind;
mod message;
mod object;

use std::{borrow::Cow, ops::Range};

use serde_json::error::Category;
use telegram_webhook_sidecar_config::ChatType;

use self::envelope::{NO_KIND, OUT_OF_RANGE, SEVERAL_KINDS};
pub use self::{
    kind::{Kind, NamedKind},
    message::Contents,
};

/// An update, as far as the request path reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update<'a> {
    /// From 0 to 2^31 - 1.
    pub update_id: i64,
    pub kind: NamedKind<'a>,
    pub facts: Facts<'a>,
}

/// What is known of an update whatever its kind; a kind that has no such thing, or that we don't know, has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Id of the chat.
    pub chat: Option<i64>,
    pub chat_type: Option<ChatKind>,
    /// Topic of a forum by its `message_thread_id`.
    pub topic: Option<i64>,
    /// Id of whoever caused the update.
    pub user: Option<i64>,
    /// Text, caption, data of a button, query: whatever the user wrote or chose.
    pub text: Option<Cow<'a, str>>,
    /// Where in `text` its bot commands are, without slash and bot name.
    commands: Vec<Range<usize>>,
    /// What a message holds.
    pub content: Contents,
    /// Unix time; of an edited message, that of the edit.
    pub date: Option<i64>,
}

/// Type of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatKind {
    Known(ChatType),
    /// One that Telegram invented after us.
    Unknown,
}

/// Why an update can't be read. Holds nothing of the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("is not JSON")]
    NotJson,
    #[error("lacks update_id or another field that every such update has")]
    Incomplete,
    #[error("holds nothing but an update_id")]
    NoKind,
    #[error("is of several kinds at once")]
    SeveralKinds,
    #[error("has a field twice")]
    DuplicateField,
    #[error("has a field of another type than documented, or out of range")]
    WrongType,
}

/// Reads an update.
pub fn parse(body: &[u8]) -> Result<Update<'_>, Malformed> {
    match String::from_utf8_lossy(body) {
        Cow::Borrowed(text) => read(text),
        Cow::Owned(text) => read(&text).map(Update::into_owned),
    }
}

fn read(text: &str) -> Result<Update<'_>, Malformed> {
    serde_json::from_str(text).map_err(|error| Malformed::from(&error))
}

// === impl Update ===

impl Update<'_> {
    fn into_owned(self) -> Update<'static> {
        let Self { update_id, kind, facts } = self;
        let facts = Facts { text: facts.text.map(|text| Cow::Owned(text.into_owned())), ..facts };
        Update { update_id, kind: kind.into_owned(), facts }
    }
}

// === impl Facts ===

impl Facts<'_> {
    /// The bot commands in the text, without slash and bot name.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        let text = self.text.as_deref().unwrap_or_default();
        self.commands.iter().filter_map(|range| text.get(range.clone()))
    }
}

// === impl Malformed ===

impl From<&serde_json::Error> for Malformed {
    fn from(error: &serde_json::Error) -> Self {
        if error.classify() != Category::Data {
            return Self::NotJson;
        }
        // each begins with words of serde's or ours; what follows may quote the update and stays here
        let text = error.to_string();
        let begins = |words: &str| text.starts_with(words);
        if begins(NO_KIND) {
            Self::NoKind
        } else if begins(SEVERAL_KINDS) {
            Self::SeveralKinds
        } else if begins(OUT_OF_RANGE) {
            Self::WrongType
        } else if begins("duplicate field") {
            Self::DuplicateField
        } else if begins("missing field") {
            Self::Incomplete
        } else {
            Self::WrongType
        }
    }
}

#[cfg(test)]
mod tests;
