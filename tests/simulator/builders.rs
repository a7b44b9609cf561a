//! Updates of every kind, with chat, user and text where section 5 says they are.

use serde_json::Value;
use telegram_webhook_tests::telegram::{
    builders::{Subject, build},
    kinds::Kind,
};

const CHAT: i64 = -1_001_234_567_890;
const USER: i64 = 4242;

fn built(kind: Kind) -> Value {
    let update = build(
        kind,
        &Subject {
            chat: CHAT,
            user: USER,
            text: "/start now".to_owned(),
            date: 1_700_000_000,
            number: 9,
            life: None,
        },
    );
    let stored = String::from_utf8(update.stored).unwrap();
    assert!(stored.starts_with(&format!("\"{}\":{{", kind.name())), "{stored}");
    let body: Value = serde_json::from_str(&format!("{{{stored}}}")).unwrap();
    body[kind.name()].clone()
}

#[test]
fn fact_5_every_kind_has_chat_user_and_text_in_its_own_place() {
    // kind, chat, user, text
    let places = [
        (Kind::Message, "/chat/id", "/from/id", "/text"),
        (Kind::EditedMessage, "/chat/id", "/from/id", "/text"),
        (Kind::ChannelPost, "/chat/id", "", "/text"),
        (Kind::EditedChannelPost, "/chat/id", "", "/text"),
        (Kind::InlineQuery, "", "/from/id", "/query"),
        (Kind::ChosenInlineResult, "", "/from/id", "/query"),
        (Kind::CallbackQuery, "/message/chat/id", "/from/id", "/data"),
        (Kind::ShippingQuery, "", "/from/id", "/invoice_payload"),
        (Kind::PreCheckoutQuery, "", "/from/id", "/invoice_payload"),
        (Kind::Poll, "", "", "/question"),
        (Kind::PollAnswer, "", "/user/id", ""),
        (Kind::MyChatMember, "/chat/id", "/from/id", ""),
        (Kind::ChatMember, "/chat/id", "/from/id", ""),
        (Kind::ChatJoinRequest, "/chat/id", "/from/id", "/bio"),
        (Kind::ChatBoost, "/chat/id", "/boost/source/user/id", ""),
        (Kind::RemovedChatBoost, "/chat/id", "/source/user/id", ""),
        (Kind::MessageReaction, "/chat/id", "/user/id", ""),
        (Kind::MessageReactionCount, "/chat/id", "", ""),
        (Kind::BusinessConnection, "", "/user/id", ""),
        (Kind::BusinessMessage, "/chat/id", "/from/id", "/text"),
        (Kind::EditedBusinessMessage, "/chat/id", "/from/id", "/text"),
        (Kind::DeletedBusinessMessages, "/chat/id", "", ""),
        (Kind::PurchasedPaidMedia, "", "/from/id", "/paid_media_payload"),
        (Kind::ManagedBot, "", "/user/id", ""),
        (Kind::GuestMessage, "/chat/id", "/from/id", "/text"),
    ];
    assert_eq!(places.len(), Kind::public().count());
    for (kind, chat, user, text) in places {
        let content = built(kind);
        let found =
            |path: &str| (!path.is_empty()).then(|| content.pointer(path).cloned().unwrap_or_default());
        assert_eq!(found(chat), (!chat.is_empty()).then(|| CHAT.into()), "{}", kind.name());
        assert_eq!(found(user), (!user.is_empty()).then(|| USER.into()), "{}", kind.name());
        assert_eq!(found(text), (!text.is_empty()).then(|| "/start now".into()), "{}", kind.name());
    }
}

#[test]
fn fact_5_a_command_is_marked_by_an_entity() {
    let message = built(Kind::Message);
    assert_eq!(message["entities"][0]["type"], "bot_command");
    assert_eq!(message["entities"][0]["length"], 6);
}

#[test]
fn fact_5_the_id_tells_the_type_of_chat() {
    for (chat, kind) in [(5, "private"), (-5, "group"), (CHAT, "supergroup")] {
        let update = build(
            Kind::Message,
            &Subject { chat, user: USER, text: String::new(), date: 1, number: 1, life: None },
        );
        let stored = String::from_utf8(update.stored).unwrap();
        assert!(stored.contains(&format!("\"type\":\"{kind}\"")), "{stored}");
        // the sender stands before the chat
        assert!(stored.find("\"from\"") < stored.find("\"chat\""));
    }
    assert_eq!(built(Kind::ChannelPost)["chat"]["type"], "channel");
}
