//! Which webhook a request is for: 404 unless its path is that of one, 405 unless it posts there.

use std::sync::Arc;

use http::{Method, Uri};
use subtle::Choice;

use super::Reject;
use crate::config::{Policy, SecretDigest, Webhook};

/// A webhook, and the path by which it was found.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) webhook: Arc<Webhook>,
    pub(super) path: SecretDigest,
}

/// Compares with every path there is, whichever matches, so that the time taken tells nothing about any of them.
pub(super) fn find(policy: &Policy, uri: &Uri) -> Result<Route, Reject> {
    // whole target: no webhook was registered with a query
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let path = SecretDigest::of(target);
    let mut found = None;
    for webhook in policy.webhooks() {
        let mut matches = Choice::from(0);
        for slot in &webhook.slots {
            matches |= slot.path.matches(&path);
        }
        if matches.into() {
            found = Some(webhook);
        }
    }
    match found {
        Some(webhook) => Ok(Route { webhook: Arc::clone(webhook), path }),
        None => Err(Reject::UnknownPath),
    }
}

pub(super) fn require_post(method: &Method) -> Result<(), Reject> {
    if method == Method::POST { Ok(()) } else { Err(Reject::MethodNotAllowed) }
}
