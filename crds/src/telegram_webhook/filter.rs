//! `spec.filter`: which updates the CRM gets.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telegram_webhook_sidecar_config::{
    ChatType, Content,
    bounds::{MAX_COMMAND_LENGTH, MAX_EXPRESSION_LENGTH, MAX_EXPRESSIONS},
};

/// Which updates the CRM gets. Every condition has to hold, and an empty list is no condition. What is filtered out is answered with
/// 200 and counted: Telegram would send anything else again for a day.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterSpec {
    /// Kinds of updates by Telegram's names. Telegram is told them as `allowed_updates`, so that it makes no others: what happens
    /// while a kind is not listed is never sent, even if the kind is added later. Empty lets through every kind that Telegram sends by
    /// default, which is all but chat_member, message_reaction and message_reaction_count, and those that it will invent.
    /// The default is what a support team needs: message, edited_message and callback_query.
    #[schemars(extend("maxItems" = 32, "x-kubernetes-list-type" = "set"))]
    pub update_types: Vec<UpdateType>,
    /// Types of chat: private, group, supergroup, channel. Holds for an update without a chat, such as a poll. The default is private
    /// and supergroup: people, and the larger groups, with or without topics. It leaves out basic groups: for them, list `group`.
    #[schemars(extend("maxItems" = 4, "x-kubernetes-list-type" = "set"))]
    pub chat_types: Vec<ChatType>,
    /// Chats by id, negative for groups and channels. Holds for an update without a chat. Any by default.
    pub chats: IdListSpec,
    /// Users by id. Holds for an update without a user. Any by default.
    pub users: IdListSpec,
    /// Topics of forums by their `message_thread_id`; 1 is the General topic. Holds outside of forums. Any by default.
    #[schemars(inner(range(min = 1)), extend("maxItems" = 256, "x-kubernetes-list-type" = "set"))]
    pub topics: Vec<i64>,
    /// What a message may hold; one of its parts in the list is enough. Holds for an update that is no message. Anything by default, so that photos, contacts and voice
    /// messages of customers arrive.
    #[schemars(extend("maxItems" = 32, "x-kubernetes-list-type" = "set"))]
    pub content: Vec<Content>,
    /// Bot commands without the slash; one of a message's is enough. Holds for a message without a command. Any by default.
    #[schemars(
        inner(length(min = 1, max = MAX_COMMAND_LENGTH), regex(pattern = "^[a-z0-9_]+$")),
        extend("maxItems" = 100, "x-kubernetes-list-type" = "set")
    )]
    pub commands: Vec<String>,
    /// Conditions in CEL over `update`, the whole update as Telegram sent it, such as
    /// `!has(update.message) || !has(update.message.text) || update.message.text.size() < 500`. An expression without a value is
    /// false, and the update is dropped: so guard every field that not every update has with has(), and try the expression
    /// with the sidecar's `filter-test`. Besides CEL's operators there are has, all, exists, exists_one, size, contains, startsWith,
    /// endsWith, int, double, string and bool; no matches. None by default. The operator compiles them: one that can't be
    /// compiled, or that takes from `update` a name that no update has, is told in the conditions as `FilterInvalid`, and changes
    /// nothing until it is corrected.
    #[schemars(
        inner(length(min = 1, max = MAX_EXPRESSION_LENGTH)),
        extend("maxItems" = MAX_EXPRESSIONS, "x-kubernetes-list-type" = "set")
    )]
    pub expressions: Vec<String>,
}

/// Ids that are let through, and ids that are not.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct IdListSpec {
    /// None but these; empty is any. No id may be in both lists.
    #[schemars(extend("maxItems" = 1000, "x-kubernetes-list-type" = "set"))]
    pub allow: Vec<i64>,
    /// Not these, whatever else holds.
    #[schemars(extend("maxItems" = 1000, "x-kubernetes-list-type" = "set"))]
    pub deny: Vec<i64>,
}

/// A kind of update, in Telegram's order. A server that is older than a kind ignores its name.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum UpdateType {
    /// A message to the bot, or in a group that the bot is in.
    Message,
    /// A message that was changed.
    EditedMessage,
    /// A post in a channel.
    ChannelPost,
    /// A post that was changed.
    EditedChannelPost,
    /// A query that is being typed behind the bot's name.
    InlineQuery,
    /// The result of such a query that was sent.
    ChosenInlineResult,
    /// A button was pressed.
    CallbackQuery,
    /// An address was given for an invoice.
    ShippingQuery,
    /// An invoice is about to be paid.
    PreCheckoutQuery,
    /// A poll was stopped, or the bot's own poll changed.
    Poll,
    /// Somebody voted in the bot's own poll.
    PollAnswer,
    /// The bot's own place in a chat changed: blocked, added, promoted.
    MyChatMember,
    /// Somebody's place in a chat changed. Only when listed.
    ChatMember,
    /// Somebody asks to join a chat.
    ChatJoinRequest,
    /// A chat was boosted.
    ChatBoost,
    /// A boost ended.
    RemovedChatBoost,
    /// Somebody's reaction to a message changed. Only when listed.
    MessageReaction,
    /// The number of anonymous reactions changed. Only when listed.
    MessageReactionCount,
    /// The bot was connected to a business account, or parted from it.
    BusinessConnection,
    /// A message of a connected business account.
    BusinessMessage,
    /// Such a message was changed.
    EditedBusinessMessage,
    /// Such messages were deleted.
    DeletedBusinessMessages,
    /// Paid media were bought.
    PurchasedPaidMedia,
    /// A bot that this bot manages was made, or its token or owner changed.
    ManagedBot,
    /// A message from a chat that the bot isn't in.
    GuestMessage,
    /// A subscription to the bot changed.
    Subscription,
}

/// Telegram's name.
impl fmt::Display for UpdateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Default for FilterSpec {
    /// What a support team needs.
    fn default() -> Self {
        Self {
            update_types: vec![UpdateType::Message, UpdateType::EditedMessage, UpdateType::CallbackQuery],
            chat_types: vec![ChatType::Private, ChatType::Supergroup],
            chats: IdListSpec::default(),
            users: IdListSpec::default(),
            topics: Vec::new(),
            content: Vec::new(),
            commands: Vec::new(),
            expressions: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use telegram_webhook_sidecar_config::Kind;

    use super::*;

    #[test]
    fn a_kind_is_shown_by_telegrams_name() {
        assert_eq!(UpdateType::MessageReactionCount.to_string(), "message_reaction_count");
        assert_eq!(UpdateType::PreCheckoutQuery.to_string(), "pre_checkout_query");
    }

    #[test]
    fn the_sidecar_knows_the_same_kinds() {
        let schema = schemars::schema_for!(UpdateType);
        let kinds = schema.get("oneOf").and_then(|kinds| kinds.as_array()).unwrap();
        let mut names: Vec<_> = kinds.iter().filter_map(|kind| kind["const"].as_str()).collect();
        let mut known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
    }
}
