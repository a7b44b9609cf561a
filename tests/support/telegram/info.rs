//! getWebhookInfo and getMe (reference/telegram.md section 2).

use serde::Serialize;
use serde_json::json;

use super::{answer::ApiAnswer, bot::Bot};

/// In the order in which the server writes its fields; what isn't there is left out.
#[derive(Serialize)]
struct WebhookInfo<'a> {
    url: &'a str,
    has_custom_certificate: bool,
    pending_update_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_date: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_updates: Option<Vec<&'static str>>,
}

/// What the slot holds, except for the secret.
pub fn get_webhook_info(bot: &Bot) -> ApiAnswer {
    let state = bot.lock();
    let webhook = state.webhook.as_ref();
    let info = WebhookInfo {
        url: webhook.map_or("", |webhook| &webhook.settings.url),
        has_custom_certificate: webhook.is_some_and(|webhook| webhook.settings.certificate.is_some()),
        pending_update_count: state.queue.len(),
        last_error_date: state.last_error.as_ref().map(|error| error.date),
        last_error_message: state.last_error.as_ref().map(|error| error.message.as_str()),
        max_connections: webhook.map(|webhook| webhook.settings.max_connections),
        ip_address: webhook
            .map(|webhook| webhook.ip.map_or_else(|| "<unknown>".to_owned(), |address| address.to_string())),
        allowed_updates: state.allowed.shown(),
    };
    match serde_json::to_string(&info) {
        Ok(text) => ApiAnswer::ok(&text),
        Err(_) => ApiAnswer::error(500, "Internal Server Error"),
    }
}

/// Who the bot is.
pub fn get_me(bot: &Bot) -> ApiAnswer {
    ApiAnswer::ok(
        &json!({
            "id": bot.id,
            "is_bot": true,
            "first_name": bot.username,
            "username": bot.username,
            "can_join_groups": true,
            "can_read_all_group_messages": false,
            "supports_inline_queries": false,
            "can_connect_to_business": false,
            "has_main_web_app": false,
        })
        .to_string(),
    )
}
