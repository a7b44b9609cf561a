//! The head of a delivery, byte for byte as the delivery engine writes it (reference/telegram-observed.md).

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::webhook_url::WebhookUrl;

/// A longer head can't be sent: the update's lane then hangs without an error.
const MAX_HEAD: usize = 4096;

/// The request's head for a body of that length, if it fits.
pub fn head(url: &WebhookUrl, secret_token: &str, body_length: usize) -> Option<Vec<u8>> {
    let mut lines = vec![format!("POST {} HTTP/1.1", url.target), format!("Host: {}", url.authority())];
    if !url.userinfo.is_empty() {
        lines.push(format!("Authorization: Basic {}", BASE64_STANDARD.encode(&url.userinfo)));
    }
    if !secret_token.is_empty() {
        lines.push(format!("X-Telegram-Bot-Api-Secret-Token: {secret_token}"));
    }
    lines.push("Content-Type: application/json".to_owned());
    lines.push(format!("Content-Length: {body_length}"));
    lines.push("Connection: keep-alive".to_owned());
    lines.push("Accept-Encoding: gzip, deflate\r\n\r\n".to_owned());
    let head = lines.join("\r\n");
    (head.len() <= MAX_HEAD).then(|| head.into_bytes())
}
