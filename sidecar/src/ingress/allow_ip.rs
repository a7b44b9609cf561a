//! Whether it comes from one of Telegram's addresses: 403 unless it does, or unless the webhook only counts that or doesn't look.
//!
//! Before the route is known a request is refused if no webhook of the port would take it, after that if its own would not.

mod sources;

use std::sync::Arc;

use http::request::Parts;

pub use self::sources::{Source, Sources};
use super::{
    Reject, Seen, authenticate,
    route::{self, Route},
};
use crate::config::Policy;

/// The rule of the port. What it refuses is looked at once more: a request that carries a webhook's path and token may be Telegram's
/// own, behind something that hides its address.
pub(super) fn port(sources: &Sources, policy: &Policy, head: &Parts, seen: &mut Seen) -> Result<(), Reject> {
    if policy.addresses().permits(seen.client) {
        return Ok(());
    }
    let route = route::guess(policy, &head.uri);
    Err(Reject::AddressNotAllowed {
        genuine: route.is_some_and(|route| recognise(sources, &route, head, seen)),
    })
}

/// The rule of the webhook that the request is for.
pub(super) fn webhook(
    sources: &Sources,
    route: &Route<'_>,
    head: &Parts,
    seen: &mut Seen,
) -> Result<(), Reject> {
    if route.webhook.source_address.permits(seen.client) {
        return Ok(());
    }
    Err(Reject::AddressNotAllowed { genuine: recognise(sources, route, head, seen) })
}

/// Whether a refused request carries the token that belongs to its path. If so, whose it is is noted, as for one that is not refused.
fn recognise(sources: &Sources, route: &Route<'_>, head: &Parts, seen: &mut Seen) -> bool {
    let Ok(slot) = authenticate::token(route, &head.headers) else {
        return false;
    };
    seen.webhook = Some(Arc::clone(route.webhook));
    seen.slot = Some(slot);
    sources.note(route.webhook, seen.client);
    true
}

#[cfg(test)]
mod tests;
