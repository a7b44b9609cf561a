//! The secret token that Telegram was told.

use http::{HeaderMap, HeaderName};

use super::{NotOnce, once};
use crate::{
    config::SecretDigest,
    ingress::{Reject, route::Route},
};

/// Where Telegram puts the token.
pub const TOKEN_HEADER: &str = "x-telegram-bot-api-secret-token";
/// The same, read once and not for every request.
static NAME: HeaderName = HeaderName::from_static(TOKEN_HEADER);

/// Compares with every accepted slot, whichever matches and however long the token; answers the id of the slot that did. A slot
/// is a pair: its token is good for its own path only.
pub(in crate::ingress) fn token(route: &Route<'_>, headers: &HeaderMap) -> Result<i64, Reject> {
    let value = once(headers, &NAME).map_err(|not_once| match not_once {
        NotOnce::Missing => Reject::TokenMissing,
        NotOnce::Repeated => Reject::TokenRepeated,
    })?;
    let token = SecretDigest::of(value.as_bytes());
    let mut accepted = None;
    for slot in &route.webhook.slots {
        if (slot.path.matches(&route.path) & slot.token.matches(&token)).into() {
            accepted = Some(slot.id);
        }
    }
    accepted.ok_or(Reject::TokenWrong)
}
