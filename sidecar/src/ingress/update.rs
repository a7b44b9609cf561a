//! What the request path needs to know of an update, read from its bytes without building a tree.
//!
//! The bytes are the CRM's and stay as they are. Telegram's own may be invalid UTF-8 (a button's data is whatever its sender made it),
//! so texts are a lossy view of them. Chat and user come from the places that reference documentation names for each kind, never
//! from a message inside of another: those are chosen by whoever writes the message. What isn't read may be anything, nested
//! as deep as it likes; what is read must be as Telegram documents it, once, or the update is [`Malformed`].

mod envelope;
mod facts;
mod kind;
mod message;
mod object;
mod scanner;

use telegram_webhook_sidecar_config::ChatType;

pub use self::{
    kind::{Kind, NamedKind},
    message::Contents,
};
use self::{
    message::Entities,
    object::Read,
    scanner::{Raw, Scanner},
};

/// An update, as far as the request path reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update<'a> {
    /// From 0 to 2^31 - 1.
    pub update_id: i64,
    pub kind: NamedKind,
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
    /// Id of the poll that it is about.
    pub poll: Option<i64>,
    /// Text, caption, data of a button, query: whatever the user wrote or chose.
    text: Option<Raw<'a>>,
    /// What the parts of `text` are.
    entities: Option<Entities<'a>>,
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
    let mut scanner = Scanner::new(body);
    let update = Update::read(&mut scanner)?;
    scanner.end()?;
    Ok(update)
}

// === impl Facts ===

impl Facts<'_> {
    /// Text, caption, data of a button, query: whatever the user wrote or chose.
    pub fn text(&self) -> Option<String> {
        self.text.map(Raw::decode)
    }

    /// The bot commands in the text, without slash and bot name, in their order.
    pub fn commands(&self) -> Vec<String> {
        match (self.text(), self.entities) {
            (Some(text), Some(entities)) => entities.commands(&text),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
