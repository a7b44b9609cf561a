//! The shapes that the fields of an update come in.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};
use telegram_webhook_sidecar_config::ChatType;

use super::ChatKind;

/// An object. A derived struct alone takes an array of its fields' values too, which nobody else would understand.
pub(super) struct Object<T>(pub(super) T);

/// A string, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Whether a field is there, whatever it holds; `null` is not there.
#[derive(Clone, Copy, Default)]
pub(super) struct Present(pub(super) bool);

/// A user, or anything else that only its id is read of.
#[derive(Deserialize)]
pub(super) struct Id {
    pub(super) id: i64,
}

/// A chat.
#[derive(Deserialize)]
pub(super) struct Chat {
    pub(super) id: i64,
    #[serde(rename = "type")]
    pub(super) kind: ChatKind,
    is_forum: Option<bool>,
}

/// Id of the topic that a forum has without anybody making it.
const GENERAL_TOPIC: i64 = 1;

// === impl Object ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

// === impl Present ===

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<IgnoredAny>::deserialize(deserializer).map(|value| Self(value.is_some()))
    }
}

// === impl Chat ===

impl Chat {
    /// The topic of a message in this chat. A thread is a topic only in a forum: elsewhere it is a chain of replies.
    pub(super) fn topic(&self, thread: Option<i64>, is_topic_message: Option<bool>) -> Option<i64> {
        match (self.is_forum, is_topic_message) {
            (Some(true), _) => Some(thread.unwrap_or(GENERAL_TOPIC)),
            (_, Some(true)) => thread,
            _ => None,
        }
    }
}

// === impl ChatKind ===

impl<'de> Deserialize<'de> for ChatKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ChatKindVisitor)
    }
}

struct ChatKindVisitor;

impl Visitor<'_> for ChatKindVisitor {
    type Value = ChatKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a type of chat")
    }

    fn visit_str<E>(self, name: &str) -> Result<ChatKind, E> {
        Ok(match name {
            // an inline query's word for the chat of its sender with the bot
            "private" | "sender" => ChatKind::Known(ChatType::Private),
            "group" => ChatKind::Known(ChatType::Group),
            "supergroup" => ChatKind::Known(ChatType::Supergroup),
            "channel" => ChatKind::Known(ChatType::Channel),
            _ => ChatKind::Unknown,
        })
    }
}
