//! Whether Telegram sent it: 401 unless the request carries, once, the token that belongs to its path.

use http::HeaderMap;

use super::{Reject, route::Route};
use crate::config::SecretDigest;

/// Where Telegram puts the token.
pub(super) const TOKEN_HEADER: &str = "x-telegram-bot-api-secret-token";

/// Compares with every accepted slot, whichever matches and however long the token; answers the id of the slot that did. A slot
/// is a pair: its token is good for its own path only.
pub(super) fn token(route: &Route, headers: &HeaderMap) -> Result<i64, Reject> {
    let mut values = headers.get_all(TOKEN_HEADER).iter();
    let value = values.next().ok_or(Reject::TokenMissing)?;
    if values.next().is_some() {
        // which of them is meant is a question that other parsers answer differently
        return Err(Reject::TokenRepeated);
    }
    let token = SecretDigest::of(value.as_bytes());
    let mut accepted = None;
    for slot in &route.webhook.slots {
        if (slot.path.matches(&route.path) & slot.token.matches(&token)).into() {
            accepted = Some(slot.id);
        }
    }
    accepted.ok_or(Reject::TokenWrong)
}
