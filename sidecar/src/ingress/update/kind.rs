//! The kinds of updates.

macro_rules! kinds {
    ($($kind:ident $name:literal,)*) => {
        /// Kind of an update.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            /// Every kind that we know.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Telegram's name of it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// The kind that Telegram calls so.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    Message "message",
    EditedMessage "edited_message",
    ChannelPost "channel_post",
    EditedChannelPost "edited_channel_post",
    BusinessConnection "business_connection",
    BusinessMessage "business_message",
    EditedBusinessMessage "edited_business_message",
    DeletedBusinessMessages "deleted_business_messages",
    GuestMessage "guest_message",
    MessageReaction "message_reaction",
    MessageReactionCount "message_reaction_count",
    InlineQuery "inline_query",
    ChosenInlineResult "chosen_inline_result",
    CallbackQuery "callback_query",
    ShippingQuery "shipping_query",
    PreCheckoutQuery "pre_checkout_query",
    PurchasedPaidMedia "purchased_paid_media",
    Poll "poll",
    PollAnswer "poll_answer",
    MyChatMember "my_chat_member",
    ChatMember "chat_member",
    ChatJoinRequest "chat_join_request",
    ChatBoost "chat_boost",
    RemovedChatBoost "removed_chat_boost",
    ManagedBot "managed_bot",
    Subscription "subscription",
}

/// A kind of update, whether we know it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedKind {
    Known(Kind),
    /// One that Telegram invented after us. Its name may be anything.
    Unknown,
}

// === impl Kind ===

impl Kind {
    /// Whether what it holds is a message.
    pub fn is_message(self) -> bool {
        use Kind::{
            BusinessMessage, ChannelPost, EditedBusinessMessage, EditedChannelPost, EditedMessage,
            GuestMessage, Message,
        };
        matches!(
            self,
            Message
                | EditedMessage
                | ChannelPost
                | EditedChannelPost
                | BusinessMessage
                | EditedBusinessMessage
                | GuestMessage
        )
    }
}

// === impl NamedKind ===

impl NamedKind {
    /// Name in metrics and logs: one of few.
    pub fn label(self) -> &'static str {
        match self {
            Self::Known(kind) => kind.name(),
            Self::Unknown => "unknown",
        }
    }

    pub fn known(self) -> Option<Kind> {
        match self {
            Self::Known(kind) => Some(kind),
            Self::Unknown => None,
        }
    }
}
