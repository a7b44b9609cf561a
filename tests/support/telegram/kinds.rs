//! The kinds of update that a Bot API 10.0 server makes: their names, ordering lanes and life times
//! (reference/telegram.md sections 3.5 and 5), and sets of them as `allowed_updates` describes them.

/// One kind of update, in the order in which getWebhookInfo lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Message,
    EditedMessage,
    ChannelPost,
    EditedChannelPost,
    InlineQuery,
    ChosenInlineResult,
    CallbackQuery,
    /// Internal to Telegram: a name that may be asked for and is never shown.
    CustomEvent,
    /// Internal to Telegram, as above.
    CustomQuery,
    ShippingQuery,
    PreCheckoutQuery,
    Poll,
    PollAnswer,
    MyChatMember,
    ChatMember,
    ChatJoinRequest,
    ChatBoost,
    RemovedChatBoost,
    MessageReaction,
    MessageReactionCount,
    BusinessConnection,
    BusinessMessage,
    EditedBusinessMessage,
    DeletedBusinessMessages,
    PurchasedPaidMedia,
    ManagedBot,
    GuestMessage,
}

/// What orders the updates of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneOwner {
    /// The chat.
    Chat,
    /// The user.
    User,
    /// The poll.
    Poll,
    /// None: a lane of its own.
    Nobody,
}

const DAY: i64 = 86_400;

use Kind as K;
/// Name, owner of the lane, family of lanes (so that a chat's messages and its boosts don't wait for each other), seconds to live.
const TABLE: [(Kind, &str, LaneOwner, i64, i64); 27] = {
    use LaneOwner::{Chat, Nobody, Poll, User};
    [
        (K::Message, "message", Chat, 0, DAY),
        (K::EditedMessage, "edited_message", Chat, 0, DAY),
        (K::ChannelPost, "channel_post", Chat, 0, DAY),
        (K::EditedChannelPost, "edited_channel_post", Chat, 0, DAY),
        (K::InlineQuery, "inline_query", User, 1, 30),
        (K::ChosenInlineResult, "chosen_inline_result", User, 2, 600),
        (K::CallbackQuery, "callback_query", User, 3, 150),
        (K::CustomEvent, "custom_event", Nobody, 0, DAY),
        (K::CustomQuery, "custom_query", Nobody, 0, DAY),
        (K::ShippingQuery, "shipping_query", User, 4, 150),
        (K::PreCheckoutQuery, "pre_checkout_query", User, 4, 150),
        (K::Poll, "poll", Poll, 0, DAY),
        (K::PollAnswer, "poll_answer", Poll, 0, DAY),
        (K::MyChatMember, "my_chat_member", Chat, 5, DAY),
        (K::ChatMember, "chat_member", User, 6, DAY),
        (K::ChatJoinRequest, "chat_join_request", User, 6, DAY),
        (K::ChatBoost, "chat_boost", Chat, 7, DAY),
        (K::RemovedChatBoost, "removed_chat_boost", Chat, 7, DAY),
        (K::MessageReaction, "message_reaction", Chat, 8, DAY),
        (K::MessageReactionCount, "message_reaction_count", Chat, 9, DAY),
        (K::BusinessConnection, "business_connection", User, 10, DAY),
        (K::BusinessMessage, "business_message", Chat, 11, DAY),
        (K::EditedBusinessMessage, "edited_business_message", Chat, 11, DAY),
        (K::DeletedBusinessMessages, "deleted_business_messages", Chat, 11, DAY),
        (K::PurchasedPaidMedia, "purchased_paid_media", User, 12, DAY),
        (K::ManagedBot, "managed_bot", User, 13, DAY),
        (K::GuestMessage, "guest_message", Chat, 12, DAY),
    ]
};

impl Kind {
    /// The 25 that users see.
    pub fn public() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0).filter(|kind| !kind.is_internal())
    }

    /// The kind of that name, in any case of letters.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| row.0)
    }

    /// Its name in `allowed_updates` and as the update's second key.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Seconds after which it is thrown away.
    pub fn life(self) -> i64 {
        self.row().4
    }

    /// The lane that orders it.
    pub fn lane(self, chat: i64, user: i64, poll: i64) -> i64 {
        let (_, _, owner, family, _) = *self.row();
        let owner = match owner {
            LaneOwner::Chat => chat,
            LaneOwner::User => user,
            LaneOwner::Poll => poll,
            LaneOwner::Nobody => return 0,
        };
        owner + (family << 33)
    }

    /// Whether it is one of the two that are Telegram's own.
    pub fn is_internal(self) -> bool {
        matches!(self, Self::CustomEvent | Self::CustomQuery)
    }

    fn row(self) -> &'static (Self, &'static str, LaneOwner, i64, i64) {
        // the table holds the variants in their order, which a test checks
        &TABLE[self as usize]
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindSet(u32);

impl Default for KindSet {
    /// Everything but the three that must be asked for.
    fn default() -> Self {
        let all = TABLE.iter().fold(0, |mask, row| mask | bit(row.0));
        Self(all & !(bit(K::ChatMember) | bit(K::MessageReaction) | bit(K::MessageReactionCount)))
    }
}

impl KindSet {
    /// Reads the parameter `allowed_updates`. `None` says "keep the earlier setting": absent, not JSON, not an array, or an
    /// element that is no string. Unknown names are skipped; when nothing is left, it is the default set.
    pub fn parse(parameter: &str) -> Option<Self> {
        if parameter.is_empty() {
            return None;
        }
        let names: Vec<String> = serde_json::from_str(parameter).ok()?;
        let mask =
            names.iter().filter_map(|name| Kind::from_name(name)).fold(0, |mask, kind| mask | bit(kind));
        Some(if mask == 0 { Self::default() } else { Self(mask) })
    }

    /// Whether updates of this kind are made.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    /// Names that getWebhookInfo shows: none for the default set, whose two internal kinds no list of public names has.
    pub fn shown(self) -> Option<Vec<&'static str>> {
        (self != Self::default())
            .then(|| Kind::public().filter(|kind| self.contains(*kind)).map(Kind::name).collect())
    }
}

fn bit(kind: Kind) -> u32 {
    1 << kind as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_every_kind_at_its_own_place() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, place, "{}", row.1);
        }
        assert_eq!(Kind::public().count(), 25);
    }
}
