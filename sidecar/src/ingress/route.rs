//! Which webhook a request is for: 404 unless its path is that of one, 405 unless it posts there.

use std::sync::Arc;

use http::{Method, Uri};
use subtle::Choice;

use super::Reject;
use crate::config::{Policy, SecretDigest, Webhook};

/// A webhook, and the path by which it was found.
#[derive(Debug)]
pub(super) struct Route<'a> {
    pub(super) webhook: &'a Arc<Webhook>,
    pub(super) path: SecretDigest,
}

pub(super) fn find<'a>(policy: &'a Policy, uri: &Uri) -> Result<Route<'a>, Reject> {
    match search(policy, uri) {
        (Some(webhook), path) => Ok(Route { webhook, path }),
        (None, _) => Err(Reject::UnknownPath),
    }
}

/// The same for a request that is refused anyway. One whose path is that of no webhook gets any, for which no token can be right
/// then, so that what comes next takes as long as for the others.
pub(super) fn guess<'a>(policy: &'a Policy, uri: &Uri) -> Option<Route<'a>> {
    let (found, path) = search(policy, uri);
    let webhook = found.or_else(|| policy.webhooks().first())?;
    Some(Route { webhook, path })
}

/// Compares with every path there is, whichever matches, so that the time taken tells nothing about any of them.
fn search<'a>(policy: &'a Policy, uri: &Uri) -> (Option<&'a Arc<Webhook>>, SecretDigest) {
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
    (found, path)
}

pub(super) fn require_post(method: &Method) -> Result<(), Reject> {
    if method == Method::POST { Ok(()) } else { Err(Reject::MethodNotAllowed) }
}
