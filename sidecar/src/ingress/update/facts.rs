//! Where each kind but messages has its chat, user, text and date.

use super::{
    ChatKind, Facts, Kind, Malformed,
    message::{Edit, Message},
    object::{Chat, Id, Read, object},
    scanner::{Raw, Scanner},
};

/// Reads what a kind holds.
pub(super) fn read<'a>(kind: Kind, scanner: &mut Scanner<'a>) -> Result<Facts<'a>, Malformed> {
    Ok(match kind {
        Kind::Message | Kind::BusinessMessage | Kind::GuestMessage => Message::read(scanner)?.facts(Edit::No),
        Kind::EditedMessage | Kind::EditedBusinessMessage => Message::read(scanner)?.facts(Edit::Yes),
        Kind::ChannelPost => Message::read(scanner)?.by_channel().facts(Edit::No),
        Kind::EditedChannelPost => Message::read(scanner)?.by_channel().facts(Edit::Yes),
        Kind::CallbackQuery => CallbackQuery::read(scanner)?.into(),
        Kind::InlineQuery | Kind::ChosenInlineResult => InlineQuery::read(scanner)?.into(),
        Kind::ShippingQuery | Kind::PreCheckoutQuery | Kind::PurchasedPaidMedia => {
            Payment::read(scanner)?.into()
        }
        Kind::Poll => Poll::read(scanner)?.into(),
        Kind::PollAnswer => PollAnswer::read(scanner)?.into(),
        Kind::ManagedBot | Kind::Subscription => ByUser::read(scanner)?.into(),
        Kind::BusinessConnection => BusinessConnection::read(scanner)?.into(),
        Kind::MyChatMember | Kind::ChatMember | Kind::ChatJoinRequest => Membership::read(scanner)?.into(),
        Kind::MessageReaction | Kind::MessageReactionCount | Kind::DeletedBusinessMessages => {
            InChat::read(scanner)?.into()
        }
        Kind::ChatBoost | Kind::RemovedChatBoost => Boost::read(scanner)?.into(),
    })
}

object! {
    /// A press of a button.
    struct CallbackQuery<'a> {
        b"from" from: Id,
        /// Absent where the button is of a message sent in inline mode.
        b"message" message: Option<ButtonMessage>,
        b"data" data: Option<Raw<'a>>,
        b"game_short_name" game_short_name: Option<Raw<'a>>,
    }
}

object! {
    /// The message that a button is of. Of an inaccessible one only the chat is there, and the date is 0.
    struct ButtonMessage {
        b"chat" chat: Chat,
        b"date" date: Option<i64>,
        b"message_thread_id" message_thread_id: Option<i64>,
        b"is_topic_message" is_topic_message: Option<bool>,
    }
}

object! {
    struct InlineQuery<'a> {
        b"from" from: Id,
        b"query" query: Option<Raw<'a>>,
        b"chat_type" chat_type: Option<ChatKind>,
    }
}

object! {
    struct Payment<'a> {
        b"from" from: Id,
        b"invoice_payload" invoice_payload: Option<Raw<'a>>,
        b"paid_media_payload" paid_media_payload: Option<Raw<'a>>,
    }
}

object! {
    struct Poll<'a> {
        b"id" id: Option<Raw<'a>>,
        b"question" question: Option<Raw<'a>>,
    }
}

object! {
    /// Polls may be answered in a channel's name too, then there is no user.
    struct PollAnswer<'a> {
        b"poll_id" poll_id: Option<Raw<'a>>,
        b"user" user: Option<Id>,
    }
}

object! {
    /// What has a user and no chat.
    struct ByUser<'a> {
        b"user" user: Option<Id>,
        b"invoice_payload" invoice_payload: Option<Raw<'a>>,
    }
}

object! {
    struct BusinessConnection {
        b"user" user: Id,
        b"user_chat_id" user_chat_id: i64,
        b"date" date: Option<i64>,
    }
}

object! {
    struct Membership<'a> {
        b"chat" chat: Chat,
        b"from" from: Id,
        b"date" date: Option<i64>,
        b"bio" bio: Option<Raw<'a>>,
    }
}

object! {
    /// What happened to messages of a chat. A reaction is a user's, or a chat's in whose name he reacts.
    struct InChat {
        b"chat" chat: Chat,
        b"user" user: Option<Id>,
        b"actor_chat" actor_chat: Option<Id>,
        b"date" date: Option<i64>,
    }
}

object! {
    struct Boost {
        b"chat" chat: Chat,
        b"boost" added: Option<Added>,
        b"source" source: Option<BoostSource>,
        b"remove_date" remove_date: Option<i64>,
    }
}

object! {
    struct Added {
        b"add_date" add_date: Option<i64>,
        b"source" source: Option<BoostSource>,
    }
}

object! {
    struct BoostSource {
        b"user" user: Option<Id>,
    }
}

// === impl Facts ===

impl Facts<'_> {
    fn in_chat(chat: &Chat) -> Self {
        Self { chat: Some(chat.id), chat_type: Some(chat.kind), ..Self::default() }
    }

    fn of_user(user: Option<Id>) -> Self {
        Self { user: user.map(|user| user.id), ..Self::default() }
    }
}

impl<'a> From<CallbackQuery<'a>> for Facts<'a> {
    fn from(callback: CallbackQuery<'a>) -> Self {
        let CallbackQuery { from, message, data, game_short_name } = callback;
        let mut facts = message.map_or_else(Self::default, |message| {
            let ButtonMessage { chat, date, message_thread_id, is_topic_message } = message;
            Self { date, topic: chat.topic(message_thread_id, is_topic_message), ..Self::in_chat(&chat) }
        });
        facts.user = Some(from.id);
        facts.text = data.or(game_short_name);
        facts
    }
}

impl<'a> From<InlineQuery<'a>> for Facts<'a> {
    fn from(InlineQuery { from, query, chat_type }: InlineQuery<'a>) -> Self {
        Self { chat_type, text: query, ..Self::of_user(Some(from)) }
    }
}

impl<'a> From<Payment<'a>> for Facts<'a> {
    fn from(Payment { from, invoice_payload, paid_media_payload }: Payment<'a>) -> Self {
        let payload = invoice_payload.or(paid_media_payload);
        Self { text: payload, ..Self::of_user(Some(from)) }
    }
}

impl<'a> From<Poll<'a>> for Facts<'a> {
    fn from(Poll { id, question }: Poll<'a>) -> Self {
        Self { poll: id.and_then(number), text: question, ..Self::default() }
    }
}

impl<'a> From<PollAnswer<'a>> for Facts<'a> {
    fn from(PollAnswer { poll_id, user }: PollAnswer<'a>) -> Self {
        Self { poll: poll_id.and_then(number), ..Self::of_user(user) }
    }
}

/// An id that Telegram writes as a text because of those who can't read such a large number.
fn number(text: Raw<'_>) -> Option<i64> {
    text.decode().parse().ok()
}

impl<'a> From<ByUser<'a>> for Facts<'a> {
    fn from(ByUser { user, invoice_payload }: ByUser<'a>) -> Self {
        Self { text: invoice_payload, ..Self::of_user(user) }
    }
}

impl From<BusinessConnection> for Facts<'_> {
    fn from(BusinessConnection { user, user_chat_id, date }: BusinessConnection) -> Self {
        Self { chat: Some(user_chat_id), date, ..Self::of_user(Some(user)) }
    }
}

impl<'a> From<Membership<'a>> for Facts<'a> {
    fn from(Membership { chat, from, date, bio }: Membership<'a>) -> Self {
        Self { user: Some(from.id), text: bio, date, ..Self::in_chat(&chat) }
    }
}

impl From<InChat> for Facts<'_> {
    fn from(InChat { chat, user, actor_chat, date }: InChat) -> Self {
        Self { user: user.or(actor_chat).map(|user| user.id), date, ..Self::in_chat(&chat) }
    }
}

impl From<Boost> for Facts<'_> {
    fn from(Boost { chat, added, source, remove_date }: Boost) -> Self {
        let (date, source) = match added {
            Some(Added { add_date, source: added_by }) => (add_date, added_by.or(source)),
            None => (None, source),
        };
        let user = source.and_then(|source| source.user).map(|user| user.id);
        Self { user, date: date.or(remove_date), ..Self::in_chat(&chat) }
    }
}
