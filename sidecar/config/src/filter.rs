//! Which updates the CRM gets. What a filter refuses is answered with 200: Telegram would send anything else again for a day.

use serde::{Deserialize, Serialize};

/// What an update must be; every condition has to hold, and an empty list is no condition.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Filter {
    /// Kinds of updates by Telegram's names, such as `message`.
    pub update_types: Vec<String>,
    /// Types of the chat. Holds for an update that tells none, such as a poll.
    pub chat_types: Vec<ChatType>,
    /// Ids of chats. Holds for an update without a chat.
    pub chats: IdList,
    /// Ids of users. Holds for an update without a user.
    pub users: IdList,
    /// Topics by their `message_thread_id`; 1 is the General topic. Holds outside of forums.
    pub topics: Vec<i64>,
    /// What a message holds. Holds for an update that is no message.
    pub content: Vec<Content>,
    /// Bot commands without the slash, in text or caption; one of a message's is enough. Holds for a message that has none.
    pub commands: Vec<String>,
    /// CEL over `update`, the whole update as Telegram sent it. An expression that can't be evaluated doesn't hold.
    pub expressions: Vec<String>,
}

/// Ids that are let through, and ids that are not.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IdList {
    /// None but these; empty is anybody.
    pub allow: Vec<i64>,
    /// Not these.
    pub deny: Vec<i64>,
}

/// Type of a chat.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ChatType {
    /// With one user.
    Private,
    /// A basic group.
    Group,
    /// A group of the larger kind, with or without topics.
    Supergroup,
    /// A channel.
    Channel,
}

/// What a message holds.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Content {
    /// Text that is no command.
    Text,
    /// Text with a bot command.
    Command,
    /// A photo.
    Photo,
    /// A video.
    Video,
    /// A round video.
    VideoNote,
    /// A voice message.
    Voice,
    /// Music.
    Audio,
    /// A file.
    Document,
    /// An animation.
    Animation,
    /// A sticker.
    Sticker,
    /// A contact.
    Contact,
    /// A place, a venue or a moving position.
    Location,
    /// A poll.
    Poll,
    /// Anything else: service messages, games, dice, what Telegram invents next.
    Other,
}

impl Default for Filter {
    /// What a support team needs: messages, corrections and buttons, of people and of groups with topics.
    fn default() -> Self {
        Self {
            update_types: ["message", "edited_message", "callback_query"].map(str::to_owned).to_vec(),
            chat_types: vec![ChatType::Private, ChatType::Supergroup],
            chats: IdList::default(),
            users: IdList::default(),
            topics: Vec::new(),
            content: Vec::new(),
            commands: Vec::new(),
            expressions: Vec::new(),
        }
    }
}
