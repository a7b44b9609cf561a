//! Where each kind but messages has its chat, user, text and date.

use serde::{Deserialize, de::MapAccess};

use super::{
    ChatKind, Facts, Kind,
    message::{Edit, Message},
    object::{Chat, Id, Object, Text},
};

/// Reads what a kind holds.
pub(super) fn read<'de, A: MapAccess<'de>>(kind: Kind, map: &mut A) -> Result<Facts<'de>, A::Error> {
    Ok(match kind {
        Kind::Message | Kind::BusinessMessage | Kind::GuestMessage => {
            map.next_value::<Object<Message<'de>>>()?.0.facts(Edit::No)
        }
        Kind::EditedMessage | Kind::EditedBusinessMessage => {
            map.next_value::<Object<Message<'de>>>()?.0.facts(Edit::Yes)
        }
        Kind::ChannelPost => map.next_value::<Object<Message<'de>>>()?.0.by_channel().facts(Edit::No),
        Kind::EditedChannelPost => map.next_value::<Object<Message<'de>>>()?.0.by_channel().facts(Edit::Yes),
        Kind::CallbackQuery => map.next_value::<Object<CallbackQuery<'de>>>()?.0.into(),
        Kind::InlineQuery | Kind::ChosenInlineResult => {
            map.next_value::<Object<InlineQuery<'de>>>()?.0.into()
        }
        Kind::ShippingQuery | Kind::PreCheckoutQuery | Kind::PurchasedPaidMedia => {
            map.next_value::<Object<Payment<'de>>>()?.0.into()
        }
        Kind::Poll => map.next_value::<Object<Poll<'de>>>()?.0.into(),
        Kind::PollAnswer | Kind::ManagedBot | Kind::Subscription => {
            map.next_value::<Object<ByUser<'de>>>()?.0.into()
        }
        Kind::BusinessConnection => map.next_value::<Object<BusinessConnection>>()?.0.into(),
        Kind::MyChatMember | Kind::ChatMember | Kind::ChatJoinRequest => {
            map.next_value::<Object<Membership<'de>>>()?.0.into()
        }
        Kind::MessageReaction | Kind::MessageReactionCount | Kind::DeletedBusinessMessages => {
            map.next_value::<Object<InChat>>()?.0.into()
        }
        Kind::ChatBoost | Kind::RemovedChatBoost => map.next_value::<Object<Boost>>()?.0.into(),
    })
}

/// A press of a button.
#[derive(Deserialize)]
struct CallbackQuery<'a> {
    from: Object<Id>,
    /// Absent where the button is of a message sent in inline mode.
    message: Option<Object<ButtonMessage>>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
    #[serde(borrow)]
    game_short_name: Option<Text<'a>>,
}

/// The message that a button is of. Of an inaccessible one only the chat is there, and the date is 0.
#[derive(Deserialize)]
struct ButtonMessage {
    chat: Object<Chat>,
    date: Option<i64>,
    message_thread_id: Option<i64>,
    is_topic_message: Option<bool>,
}

#[derive(Deserialize)]
struct InlineQuery<'a> {
    from: Object<Id>,
    #[serde(borrow)]
    query: Option<Text<'a>>,
    chat_type: Option<ChatKind>,
}

#[derive(Deserialize)]
struct Payment<'a> {
    from: Object<Id>,
    #[serde(borrow)]
    invoice_payload: Option<Text<'a>>,
    #[serde(borrow)]
    paid_media_payload: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Poll<'a> {
    #[serde(borrow)]
    question: Option<Text<'a>>,
}

/// What has a user and no chat. A poll is answered in a channel's name too, then there may be no user.
#[derive(Deserialize)]
struct ByUser<'a> {
    user: Option<Object<Id>>,
    #[serde(borrow)]
    invoice_payload: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct BusinessConnection {
    user: Object<Id>,
    user_chat_id: i64,
    date: Option<i64>,
}

#[derive(Deserialize)]
struct Membership<'a> {
    chat: Object<Chat>,
    from: Object<Id>,
    date: Option<i64>,
    #[serde(borrow)]
    bio: Option<Text<'a>>,
}

/// What happened to messages of a chat. A reaction is a user's, or a chat's in whose name he reacts.
#[derive(Deserialize)]
struct InChat {
    chat: Object<Chat>,
    user: Option<Object<Id>>,
    actor_chat: Option<Object<Id>>,
    date: Option<i64>,
}

#[derive(Deserialize)]
struct Boost {
    chat: Object<Chat>,
    #[serde(rename = "boost")]
    added: Option<Object<Added>>,
    source: Option<Object<BoostSource>>,
    remove_date: Option<i64>,
}

#[derive(Deserialize)]
struct Added {
    add_date: Option<i64>,
    source: Option<Object<BoostSource>>,
}

#[derive(Deserialize)]
struct BoostSource {
    user: Option<Object<Id>>,
}

// === impl Facts ===

impl Facts<'_> {
    fn in_chat(chat: &Chat) -> Self {
        Self { chat: Some(chat.id), chat_type: Some(chat.kind), ..Self::default() }
    }

    fn of_user(user: Option<Object<Id>>) -> Self {
        Self { user: user.map(|Object(user)| user.id), ..Self::default() }
    }
}

impl<'a> From<CallbackQuery<'a>> for Facts<'a> {
    fn from(callback: CallbackQuery<'a>) -> Self {
        let CallbackQuery { from: Object(from), message, data, game_short_name } = callback;
        let mut facts = message.map_or_else(Self::default, |Object(message)| {
            let ButtonMessage { chat: Object(chat), date, message_thread_id, is_topic_message } = message;
            Self { date, topic: chat.topic(message_thread_id, is_topic_message), ..Self::in_chat(&chat) }
        });
        facts.user = Some(from.id);
        facts.text = data.or(game_short_name).map(|Text(text)| text);
        facts
    }
}

impl<'a> From<InlineQuery<'a>> for Facts<'a> {
    fn from(InlineQuery { from, query, chat_type }: InlineQuery<'a>) -> Self {
        Self { chat_type, text: query.map(|Text(text)| text), ..Self::of_user(Some(from)) }
    }
}

impl<'a> From<Payment<'a>> for Facts<'a> {
    fn from(Payment { from, invoice_payload, paid_media_payload }: Payment<'a>) -> Self {
        let payload = invoice_payload.or(paid_media_payload);
        Self { text: payload.map(|Text(text)| text), ..Self::of_user(Some(from)) }
    }
}

impl<'a> From<Poll<'a>> for Facts<'a> {
    fn from(Poll { question }: Poll<'a>) -> Self {
        Self { text: question.map(|Text(text)| text), ..Self::default() }
    }
}

impl<'a> From<ByUser<'a>> for Facts<'a> {
    fn from(ByUser { user, invoice_payload }: ByUser<'a>) -> Self {
        Self { text: invoice_payload.map(|Text(text)| text), ..Self::of_user(user) }
    }
}

impl From<BusinessConnection> for Facts<'_> {
    fn from(BusinessConnection { user, user_chat_id, date }: BusinessConnection) -> Self {
        Self { chat: Some(user_chat_id), date, ..Self::of_user(Some(user)) }
    }
}

impl<'a> From<Membership<'a>> for Facts<'a> {
    fn from(Membership { chat: Object(chat), from: Object(from), date, bio }: Membership<'a>) -> Self {
        Self { user: Some(from.id), text: bio.map(|Text(text)| text), date, ..Self::in_chat(&chat) }
    }
}

impl From<InChat> for Facts<'_> {
    fn from(InChat { chat: Object(chat), user, actor_chat, date }: InChat) -> Self {
        Self { user: user.or(actor_chat).map(|Object(user)| user.id), date, ..Self::in_chat(&chat) }
    }
}

impl From<Boost> for Facts<'_> {
    fn from(Boost { chat: Object(chat), added, source, remove_date }: Boost) -> Self {
        let (date, source) = match added {
            Some(Object(Added { add_date, source: added_by })) => (add_date, added_by.or(source)),
            None => (None, source),
        };
        let user = source.and_then(|Object(source)| source.user).map(|Object(user)| user.id);
        Self { user, date: date.or(remove_date), ..Self::in_chat(&chat) }
    }
}
