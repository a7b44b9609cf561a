//! The kinds of updates, by Telegram's names.

macro_rules! kinds {
    ($($kind:ident $name:literal,)*) => {
        /// Kind of an update.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(
                #[doc = concat!("What Telegram calls `", $name, "`.")]
                $kind,
            )*
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
