//! Builds an update of each kind of reference/telegram.md section 5, with chat, user and text where that kind has them.

use super::{
    json_text::{Object, quoted},
    kinds::Kind,
    queue::NewUpdate,
};

/// What an update is about.
#[derive(Clone, Debug)]
pub struct Subject {
    pub chat: i64,
    pub user: i64,
    /// Text, data, query or payload.
    pub text: String,
    /// Unix time.
    pub date: i64,
    /// Number of the message, poll or query.
    pub number: i64,
    /// Seconds to live instead of the kind's own.
    pub life: Option<i64>,
}

/// Builds one.
pub fn build(kind: Kind, subject: &Subject) -> NewUpdate {
    let content = content(kind, subject);
    NewUpdate {
        kind: kind.name().to_owned(),
        stored: format!("{}:{}", quoted(kind.name()), content.finish()).into_bytes(),
        lane: kind.lane(subject.chat, subject.user, subject.number),
        expires_at: expiry(subject.date, subject.life.unwrap_or_else(|| kind.life())),
    }
}

/// Unix time of the end of a life.
pub fn expiry(date: i64, life: i64) -> f64 {
    // dates fit: they have 31 bits
    f64::from(i32::try_from(date + life).unwrap_or(i32::MAX))
}

fn content(kind: Kind, about: &Subject) -> Object {
    let id = about.number.to_string();
    match kind {
        Kind::Message => message(about, true),
        Kind::EditedMessage => message(about, true).number("edit_date", about.date),
        Kind::ChannelPost => message(about, false),
        Kind::EditedChannelPost => message(about, false).number("edit_date", about.date),
        Kind::InlineQuery => Object::new()
            .text("id", &id)
            .object("from", user(about.user))
            .text("chat_type", "sender")
            .text("query", &about.text)
            .text("offset", ""),
        Kind::ChosenInlineResult => Object::new()
            .object("from", user(about.user))
            .text("query", &about.text)
            .text("result_id", &id),
        Kind::CallbackQuery => Object::new()
            .text("id", &id)
            .object("from", user(about.user))
            .object("message", message(about, true))
            .text("chat_instance", &about.chat.to_string())
            .text("data", &about.text),
        Kind::CustomEvent | Kind::CustomQuery => Object::new(),
        Kind::ShippingQuery => Object::new()
            .text("id", &id)
            .object("from", user(about.user))
            .text("invoice_payload", &about.text)
            .raw("shipping_address", r#"{"country_code":"GB","state":"","city":"London","street_line1":"1","street_line2":"","post_code":"N1"}"#),
        Kind::PreCheckoutQuery => Object::new()
            .text("id", &id)
            .object("from", user(about.user))
            .text("currency", "XTR")
            .number("total_amount", 1)
            .text("invoice_payload", &about.text),
        Kind::Poll => Object::new()
            .text("id", &id)
            .text("question", &about.text)
            .raw("options", r#"[{"text":"a","voter_count":0},{"text":"b","voter_count":0}]"#)
            .number("total_voter_count", 0)
            .flag("is_closed", false)
            .flag("is_anonymous", true)
            .text("type", "regular"),
        Kind::PollAnswer => Object::new()
            .text("poll_id", &id)
            .object("user", user(about.user))
            .raw("option_ids", "[0]"),
        Kind::MyChatMember | Kind::ChatMember => Object::new()
            .object("chat", chat(about.chat, false))
            .object("from", user(about.user))
            .number("date", about.date)
            .object("old_chat_member", member(about.user, "left"))
            .object("new_chat_member", member(about.user, "member")),
        Kind::ChatJoinRequest => Object::new()
            .object("chat", chat(about.chat, false))
            .object("from", user(about.user))
            .number("user_chat_id", about.user)
            .number("date", about.date)
            .text("bio", &about.text),
        Kind::ChatBoost => Object::new().object("chat", chat(about.chat, false)).object(
            "boost",
            Object::new()
                .text("boost_id", &id)
                .number("add_date", about.date)
                .number("expiration_date", about.date + 86_400)
                .object("source", boost_source(about.user)),
        ),
        Kind::RemovedChatBoost => Object::new()
            .object("chat", chat(about.chat, false))
            .text("boost_id", &id)
            .number("remove_date", about.date)
            .object("source", boost_source(about.user)),
        Kind::MessageReaction => Object::new()
            .object("chat", chat(about.chat, false))
            .number("message_id", about.number)
            .object("user", user(about.user))
            .number("date", about.date)
            .raw("old_reaction", "[]")
            .raw("new_reaction", r#"[{"type":"emoji","emoji":"\ud83d\udc4d"}]"#),
        Kind::MessageReactionCount => Object::new()
            .object("chat", chat(about.chat, false))
            .number("message_id", about.number)
            .number("date", about.date)
            .raw("reactions", r#"[{"type":{"type":"emoji","emoji":"\ud83d\udc4d"},"total_count":1}]"#),
        Kind::BusinessConnection => Object::new()
            .text("id", &id)
            .object("user", user(about.user))
            .number("user_chat_id", about.user)
            .number("date", about.date)
            .flag("is_enabled", true),
        Kind::BusinessMessage => business_message(about),
        Kind::EditedBusinessMessage => business_message(about).number("edit_date", about.date),
        Kind::DeletedBusinessMessages => Object::new()
            .text("business_connection_id", &id)
            .object("chat", chat(about.chat, false))
            .raw("message_ids", &format!("[{id}]")),
        Kind::PurchasedPaidMedia => Object::new()
            .object("from", user(about.user))
            .text("paid_media_payload", &about.text),
        Kind::ManagedBot => Object::new()
            .object("user", user(about.user))
            .object("bot", user(about.number).flag("is_bot", true)),
        Kind::GuestMessage => message(about, true).text("guest_query_id", &id),
    }
}

/// The sender stands before the chat, as Telegram writes it; a channel's post has only the channel.
fn message(about: &Subject, with_user: bool) -> Object {
    let chat = chat(about.chat, !with_user);
    let head = Object::new().number("message_id", about.number);
    let head = if with_user {
        head.object("from", user(about.user))
    } else {
        head.object("sender_chat", chat.clone())
    };
    let message = head.object("chat", chat).number("date", about.date).text("text", &about.text);
    match about.text.split_whitespace().next() {
        Some(command) if command.starts_with('/') => message.raw(
            "entities",
            &format!(r#"[{{"offset":0,"length":{},"type":"bot_command"}}]"#, command.encode_utf16().count()),
        ),
        _ => message,
    }
}

fn business_message(about: &Subject) -> Object {
    Object::new()
        .text("business_connection_id", &about.number.to_string())
        .number("message_id", about.number)
        .object("from", user(about.user))
        .object("chat", chat(about.chat, false))
        .number("date", about.date)
        .text("text", &about.text)
}

/// The sign and size of an id tell the type of chat.
fn chat(id: i64, channel: bool) -> Object {
    let (title, kind) = match id {
        _ if channel => ("title", "channel"),
        1.. => ("first_name", "private"),
        ..-1_000_000_000_000 => ("title", "supergroup"),
        _ => ("title", "group"),
    };
    Object::new().number("id", id).text(title, &format!("Chat {id}")).text("type", kind)
}

fn user(id: i64) -> Object {
    Object::new()
        .number("id", id)
        .flag("is_bot", false)
        .text("first_name", &format!("User {id}"))
        .text("language_code", "en")
}

fn member(id: i64, status: &str) -> Object {
    Object::new().object("user", user(id)).text("status", status)
}

fn boost_source(id: i64) -> Object {
    Object::new().text("source", "premium").object("user", user(id))
}
