//! Agreement with a second reading of the same bytes, made of a tree and the documentation's table.

use serde_json::{Map, Value, json};

use super::super::*;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// Where a kind has its facts, by JSON pointers; the first that is there counts.
struct Place {
    kinds: &'static [&'static str],
    chat: &'static str,
    chat_type: &'static str,
    users: &'static [&'static str],
    texts: &'static [&'static str],
    dates: &'static [&'static str],
    poll: &'static str,
    thread: &'static str,
}

const NOWHERE: Place = Place {
    kinds: &[],
    chat: "/-",
    chat_type: "/-",
    users: &[],
    texts: &[],
    dates: &[],
    poll: "/-",
    thread: "/-",
};
const MESSAGE: Place = Place {
    kinds: &["message", "business_message", "guest_message"],
    chat: "/chat/id",
    chat_type: "/chat/type",
    users: &["/from/id"],
    texts: &["/text", "/caption"],
    dates: &["/date"],
    poll: "/-",
    thread: "/message_thread_id",
};

const PLACES: &[Place] = &[
    MESSAGE,
    Place {
        kinds: &["edited_message", "edited_business_message"],
        dates: &["/edit_date", "/date"],
        ..MESSAGE
    },
    Place { kinds: &["channel_post"], users: &["/from/id", "/sender_chat/id"], ..MESSAGE },
    Place {
        kinds: &["edited_channel_post"],
        users: &["/from/id", "/sender_chat/id"],
        dates: &["/edit_date", "/date"],
        ..MESSAGE
    },
    Place {
        kinds: &["callback_query"],
        chat: "/message/chat/id",
        chat_type: "/message/chat/type",
        users: &["/from/id"],
        texts: &["/data", "/game_short_name"],
        dates: &["/message/date"],
        thread: "/message/message_thread_id",
        ..NOWHERE
    },
    Place {
        kinds: &["inline_query", "chosen_inline_result"],
        chat_type: "/chat_type",
        users: &["/from/id"],
        texts: &["/query"],
        ..NOWHERE
    },
    Place {
        kinds: &["shipping_query", "pre_checkout_query", "purchased_paid_media"],
        users: &["/from/id"],
        texts: &["/invoice_payload", "/paid_media_payload"],
        ..NOWHERE
    },
    Place { kinds: &["poll"], texts: &["/question"], poll: "/id", ..NOWHERE },
    Place { kinds: &["poll_answer"], users: &["/user/id"], poll: "/poll_id", ..NOWHERE },
    Place {
        kinds: &["managed_bot", "subscription"],
        users: &["/user/id"],
        texts: &["/invoice_payload"],
        ..NOWHERE
    },
    Place {
        kinds: &["business_connection"],
        chat: "/user_chat_id",
        users: &["/user/id"],
        dates: &["/date"],
        ..NOWHERE
    },
    Place {
        kinds: &["my_chat_member", "chat_member", "chat_join_request"],
        chat: "/chat/id",
        chat_type: "/chat/type",
        users: &["/from/id"],
        texts: &["/bio"],
        dates: &["/date"],
        ..NOWHERE
    },
    Place {
        kinds: &["message_reaction", "message_reaction_count", "deleted_business_messages"],
        chat: "/chat/id",
        chat_type: "/chat/type",
        users: &["/user/id", "/actor_chat/id"],
        dates: &["/date"],
        ..NOWHERE
    },
    Place {
        kinds: &["chat_boost", "removed_chat_boost"],
        chat: "/chat/id",
        chat_type: "/chat/type",
        dates: &["/boost/add_date", "/remove_date"],
        ..NOWHERE
    },
];

/// Names of fields, of those that are read and of others.
const FIELDS: &[&str] = &[
    "chat",
    "from",
    "user",
    "sender_chat",
    "actor_chat",
    "message",
    "reply_to_message",
    "date",
    "edit_date",
    "text",
    "caption",
    "data",
    "query",
    "game_short_name",
    "invoice_payload",
    "question",
    "bio",
    "chat_type",
    "user_chat_id",
    "message_thread_id",
    "is_topic_message",
    "id",
    "poll_id",
    "photo",
    "dice",
    "boost",
    "remove_date",
];

/// A value that fits the field.
fn fitting(dice: &mut Dice, field: &str) -> Value {
    let id = [1, -1, 4_503_599_627_370_495, i64::MIN, i64::MAX][dice.below(5)];
    match field {
        "chat" => {
            let kind = *dice.pick(&["private", "group", "supergroup", "channel", "new"]);
            json!({"id": id, "type": kind, "is_forum": dice.below(2) == 0, "title": "t"})
        }
        "from" | "user" | "sender_chat" | "actor_chat" => json!({"id": id, "is_bot": false}),
        "message" | "reply_to_message" => {
            json!({"chat": fitting(dice, "chat"), "date": id, "from": {"id": 77}, "message_thread_id": 3, "is_topic_message": true})
        }
        "boost" => json!({"add_date": id, "source": {"source": "gift_code"}}),
        "chat_type" => json!(*dice.pick(&["sender", "private", "group", "new"])),
        "is_topic_message" => json!(dice.below(2) == 0),
        "id" | "poll_id" => {
            json!(*dice.pick(&["5", "-1", "9223372036854775807", "9223372036854775808", "x"]))
        }
        "photo" => json!([{"chat": {"id": 9}}]),
        "date" | "edit_date" | "user_chat_id" | "message_thread_id" | "remove_date" => json!(id),
        _ => json!(*dice.pick(&["", "a", "é😀\"\\", "\u{0}/x"])),
    }
}

fn generate(dice: &mut Dice) -> Value {
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).chain(["new"]).collect();
    let mut content = Map::new();
    for field in ["chat", "from", "user", "user_chat_id"].iter().chain(FIELDS) {
        if dice.below(3) > 0 {
            content.insert((*field).to_owned(), fitting(dice, field));
        }
    }
    if dice.below(4) == 0 {
        let wrong = [
            json!(null),
            json!([]),
            json!({}),
            json!("x"),
            json!(1.5),
            json!(18_446_744_073_709_551_615_u64),
        ];
        let field = *dice.pick(FIELDS);
        content.insert(field.to_owned(), dice.pick(&wrong).clone());
    }
    let id = [0_i64, 1, -1, 2_147_483_647, 2_147_483_648][dice.below(5)];
    let kind = *dice.pick(&kinds);
    json!({"update_id": id, kind: content})
}

/// What is read of an update of which everything that is read is of the right type; none where it isn't, or lacks something.
fn expected(update: &Value) -> Option<(i64, Facts<'static>, Option<&str>)> {
    let id = update["update_id"].as_i64().filter(|id| (0..1 << 31).contains(id))?;
    let (kind, content) = update.as_object()?.iter().find(|(key, _)| *key != "update_id")?;
    let Some(place) = PLACES.iter().find(|place| place.kinds.contains(&kind.as_str())) else {
        return Some((id, Facts::default(), None));
    };
    let number = |pointer: &str| content.pointer(pointer).and_then(Value::as_i64);
    let text = |pointer: &&str| content.pointer(pointer).and_then(Value::as_str);
    let forum = content.pointer(&place.chat.replace("/id", "/is_forum")) == Some(&json!(true));
    let topical =
        content.pointer(&place.thread.replace("message_thread_id", "is_topic_message")) == Some(&json!(true));
    let thread = number(place.thread);
    let facts = Facts {
        chat: number(place.chat),
        chat_type: text(&place.chat_type).map(|name| match name {
            "private" | "sender" => ChatKind::Known(ChatType::Private),
            "group" => ChatKind::Known(ChatType::Group),
            "supergroup" => ChatKind::Known(ChatType::Supergroup),
            "channel" => ChatKind::Known(ChatType::Channel),
            _ => ChatKind::Unknown,
        }),
        topic: match (place.thread, forum, topical) {
            ("/-", ..) => None,
            (_, true, _) => Some(thread.unwrap_or(1)),
            (_, false, true) => thread,
            _ => None,
        },
        user: place.users.iter().find_map(|pointer| number(pointer)),
        date: place.dates.iter().find_map(|pointer| number(pointer)),
        poll: text(&place.poll).and_then(|id| id.parse().ok()),
        ..Facts::default()
    };
    Some((id, facts, place.texts.iter().find_map(text)))
}

#[test]
fn a_tree_of_the_same_bytes_tells_the_same() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for _ in 0..30_000 {
        let tree = generate(&mut dice);
        let body = serde_json::to_vec(&tree).unwrap();
        // refusals have tests of their own
        let Ok(update) = parse(&body) else { continue };
        accepted += 1;
        let text = update.facts.text();
        let facts = Facts { content: Contents::default(), text: None, ..update.facts };
        assert_eq!(Some((update.update_id, facts, text.as_deref())), expected(&tree), "{tree}");
    }
    assert!(accepted > 5_000, "{accepted} of 30,000 were accepted");
}
