//! A dead letter as the list shows it: what it is about, and nothing that somebody wrote.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{admin::rfc3339, ingress::update::parse, queue::DeadLetter};

/// An update that was set aside.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    /// When it was set aside, as RFC 3339 writes it.
    pub at: String,
    pub reason: String,
    /// What is absent can't be read, or an update of that kind doesn't have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<i64>,
    /// Bytes of the update.
    pub size: usize,
    /// When it came from Telegram, as RFC 3339 writes it.
    pub received: String,
}

// === impl Entry ===

impl Entry {
    pub(super) fn of(letter: &DeadLetter) -> Self {
        let DeadLetter { id, reason, at, update } = letter;
        let parsed = parse(&update.body).ok();
        Self {
            id: id.to_string(),
            at: rfc3339(*at),
            reason: reason.to_string(),
            update_id: update.update_id,
            kind: parsed.as_ref().map(|parsed| parsed.kind.label().to_owned()),
            chat: parsed.as_ref().and_then(|parsed| parsed.facts.chat),
            user: parsed.as_ref().and_then(|parsed| parsed.facts.user),
            size: update.body.len(),
            received: rfc3339(update.received_at),
        }
    }
}

/// A line for people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, at, reason, update_id, kind, chat, user, size, received } = self;
        write!(f, "{id} at {at}, {reason}:")?;
        if let Some(update_id) = update_id {
            write!(f, " update {update_id},")?;
        }
        if let Some(kind) = kind {
            write!(f, " {kind}")?;
            if let Some(chat) = chat {
                write!(f, " in chat {chat}")?;
            }
            if let Some(user) = user {
                write!(f, " by {user}")?;
            }
            f.write_str(",")?;
        }
        write!(f, " {size} bytes, received at {received}")
    }
}
