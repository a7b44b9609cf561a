//! A Bot API call in the body of a 2xx answer (reference/telegram.md section 3.7): the simulator records what Telegram
//! would execute as the bot, and what it would ignore.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::arguments::Arguments;

/// A `method` found in an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The update that was answered.
    pub update_id: i64,
    /// The method in lower case.
    pub method: String,
    /// Whether Telegram executes it; it ignores those that read or that touch the webhook or the session.
    pub executed: bool,
    /// The other arguments.
    pub arguments: Map<String, Value>,
}

/// The call in an answer's arguments.
pub fn find(update_id: i64, arguments: &Arguments) -> Option<Reply> {
    let method = arguments.get("method").to_ascii_lowercase();
    if method.is_empty() {
        return None;
    }
    let ignored = matches!(method.as_str(), "deletewebhook" | "setwebhook" | "close" | "logout")
        || method.starts_with("get");
    Some(Reply {
        update_id,
        method,
        executed: !ignored,
        arguments: arguments
            .pairs()
            .iter()
            .filter(|(name, _)| name != "method")
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect(),
    })
}
