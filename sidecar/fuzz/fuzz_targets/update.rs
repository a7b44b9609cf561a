//! An update: whatever is read of it agrees with a tree of the same bytes, above all whose it is; and a filter judges it without a
//! panic and in time, however it is made.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use telegram_webhook_sidecar::{
    config::{Policy, Snapshot},
    ingress::{
        filter::{Filter, Verdict},
        update::{self, ChatKind, Malformed, NamedKind, Update},
    },
};

/// What somebody's filter may be.
static STRICT: LazyLock<Policy> = LazyLock::new(|| {
    policy(&json!({
        "updateTypes": [], "chatTypes": [],
        "expressions": [
            "!has(update.message) || update.message.text.contains('a') || size(update.message.text) > 3",
            "!has(update.message) || update.message.entities.exists(e, e.type == 'url' && e.offset + e.length > 5)",
            "!has(update.callback_query) || int(update.callback_query.data) > 3",
        ],
    }))
});
static DEFAULT: LazyLock<Policy> = LazyLock::new(|| policy(&json!({})));

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    // deeper than a tree may be, or with numbers beyond any: no second reading
    let tree = serde_json::from_str::<Value>(&text).ok();
    let read = match update::parse(bytes) {
        Ok(read) => read,
        Err(malformed) => {
            assert!(tree.is_none() || malformed != Malformed::NotJson);
            return;
        }
    };
    assert!(is_json);
    if let Some(tree) = &tree {
        agrees(&read, tree);
    }
    let _ = filter(&STRICT).judge(&read, bytes);
    if filter(&DEFAULT).judge(&read, bytes) == Verdict::Forward {
        assert!(["message", "edited_message", "callback_query"].contains(&read.kind.label()));
        assert_ne!(read.facts.chat_type, Some(ChatKind::Unknown));
    }
});

fn policy(filter: &Value) -> Policy {
    let config = json!({
        "webhook": "a/b", "botId": 1, "host": "a.example.com", "upstream": {"port": 1, "path": "/"},
        "slots": [{"id": 1, "path": "/p", "secretToken": "t"}], "filter": filter,
    });
    let issued = rcgen::generate_simple_self_signed(["a.example.com".to_owned()]);
    let rcgen::CertifiedKey { cert, signing_key } = issued.expect("a certificate");
    let (chain, key) = (cert.pem(), signing_key.serialize_pem());
    let snapshot = Snapshot::of_webhook("a", config.to_string().as_bytes(), chain.as_bytes(), key.as_bytes());
    Policy::check(snapshot).expect("a good configuration")
}

fn filter(policy: &Policy) -> &Filter {
    &policy.webhooks()[0].filter
}

/// Compares with the places that Telegram's documentation names.
fn agrees(read: &Update<'_>, tree: &Value) {
    let Update { update_id, kind, facts } = read;
    assert_eq!(Some(*update_id), tree["update_id"].as_i64());
    let NamedKind::Known(kind) = kind else {
        return;
    };
    let content = &tree[kind.name()];
    assert!(content.is_object());
    let chat = match kind.name() {
        "callback_query" => &content["message"]["chat"]["id"],
        "business_connection" => &content["user_chat_id"],
        "inline_query"
        | "chosen_inline_result"
        | "shipping_query"
        | "pre_checkout_query"
        | "purchased_paid_media"
        | "poll"
        | "poll_answer"
        | "managed_bot"
        | "subscription" => &Value::Null,
        _ => &content["chat"]["id"],
    };
    assert_eq!(facts.chat, chat.as_i64());
    let or = |first: &'static str, second: &'static str| {
        if content[first].is_null() { &content[second] } else { &content[first] }
    };
    let user = match kind.name() {
        "channel_post" | "edited_channel_post" => or("from", "sender_chat"),
        "message_reaction" | "message_reaction_count" | "deleted_business_messages" => {
            or("user", "actor_chat")
        }
        "poll_answer" | "managed_bot" | "subscription" | "business_connection" => &content["user"],
        "poll" => &Value::Null,
        "chat_boost" | "removed_chat_boost" => {
            let added = &content["boost"]["source"];
            if added.is_null() { &content["source"]["user"] } else { &added["user"] }
        }
        _ => &content["from"],
    };
    assert_eq!(facts.user, user["id"].as_i64());
    if kind.is_message() {
        assert_eq!(facts.text().as_deref(), or("text", "caption").as_str());
        for command in facts.commands() {
            assert!(facts.text().is_some_and(|text| text.contains(&format!("/{command}"))));
        }
    }
}
