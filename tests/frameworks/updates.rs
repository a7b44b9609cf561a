//! Updates of the kinds that a support team's bot gets, in full: a framework parses them all.

use serde_json::{Value, json};

/// One update, before Telegram gives it a number.
pub struct Update {
    pub kind: &'static str,
    /// What it holds.
    pub value: Value,
    /// The person and the private chat with that one, which have the same number.
    pub person: i64,
    /// What a program says of it.
    pub shows: String,
}

/// One message.
pub fn message(person: i64, number: i64, text: &str) -> Update {
    let value = with(envelope(person, number), "text", text.into());
    Update { kind: "message", value, person, shows: format!("message: {text}") }
}

/// Each kind once from each person; no two rounds are alike.
pub fn round(round: i64, people: &[i64]) -> Vec<Update> {
    let kinds = [greeting, correction, photo, contact, button];
    let numbered = kinds.iter().zip(10 * round..);
    let of_all = |(kind, number): (&fn(i64, i64) -> Update, i64)| {
        people.iter().map(move |person| kind(*person, number)).collect::<Vec<_>>()
    };
    numbered.flat_map(of_all).collect()
}

fn greeting(person: i64, number: i64) -> Update {
    message(person, number, &format!("Gr\u{fc}\u{df}e \u{1f44b} \"{number}\""))
}

fn correction(person: i64, number: i64) -> Update {
    let text = format!("better {number}");
    let value = with(envelope(person, number - 1), "edit_date", 1_700_000_001.into());
    Update {
        kind: "edited_message",
        value: with(value, "text", text.as_str().into()),
        person,
        shows: format!("edited_message: {text}"),
    }
}

fn photo(person: i64, number: i64) -> Update {
    let size = |width: i64, height: i64| {
        let id = format!("photo{number}w{width}");
        json!({"file_id": id, "file_unique_id": format!("u{id}"), "width": width, "height": height, "file_size": width})
    };
    let value = with(envelope(person, number), "photo", json!([size(90, 60), size(800, 533)]));
    Update {
        kind: "message",
        value: with(value, "caption", "a receipt".into()),
        person,
        shows: format!("photo: photo{number}w800 800x533, a receipt"),
    }
}

fn contact(person: i64, number: i64) -> Update {
    let phone = format!("+49301234{number}");
    let contact = json!({"phone_number": phone, "first_name": "Zo\u{eb}", "user_id": person});
    Update {
        kind: "message",
        value: with(envelope(person, number), "contact", contact),
        person,
        shows: format!("contact: Zo\u{eb} {phone}"),
    }
}

fn button(person: i64, number: i64) -> Update {
    let keyboard = json!({"inline_keyboard": [[{"text": "Close it", "callback_data": "close"}]]});
    let bot = json!({"id": 700_700, "is_bot": true, "first_name": "Support", "username": "support_bot"});
    let message = with(with(envelope(person, number), "text", "Solved?".into()), "reply_markup", keyboard);
    let data = format!("close {number}");
    let value = json!({
        "id": number.to_string(), "from": sender(person), "message": with(message, "from", bot),
        "chat_instance": person.to_string(), "data": data,
    });
    Update { kind: "callback_query", value, person, shows: format!("callback_query: {data} of Close it") }
}

fn envelope(person: i64, number: i64) -> Value {
    let chat = json!({"id": person, "first_name": "Ada", "type": "private"});
    json!({"message_id": number, "from": sender(person), "chat": chat, "date": 1_700_000_000})
}

fn sender(person: i64) -> Value {
    json!({"id": person, "is_bot": false, "first_name": "Ada", "language_code": "de"})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}
