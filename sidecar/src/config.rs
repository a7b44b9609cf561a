//! What the sidecar accepts and where it sends it: the mounted folder, checked once and turned into strong types.
//!
//! Only this module sees the raw files. A [`Webhook`] is whole and valid or isn't built at all, and every mistake in its folder
//! is reported at once. Folders don't depend on each other: one that is wrong takes no other bot of the pod down. Paths and
//! tokens survive as digests only.

mod certificate;
mod problem;
pub mod reload;
mod secret;
mod snapshot;
mod webhook;

use std::sync::Arc;

use arc_swap::ArcSwap;
use telegram_webhook_sidecar_config::{LoadedConfig, LoadedWebhook};

pub use self::{
    problem::{Problem, Problems},
    secret::SecretDigest,
    snapshot::Snapshot,
    webhook::{Limits, Slot, Webhook},
};

/// The policy in use, swapped as a whole: paths, tokens, certificates and upstreams always belong together.
pub type CurrentPolicy = Arc<ArcSwap<Policy>>;

/// Every webhook that this pod serves, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    webhooks: Vec<Arc<Webhook>>,
    /// Folders whose webhook is of a former snapshot, because the newest one's can't be used.
    carried_over: Vec<String>,
}

// === impl Policy ===

impl Policy {
    /// The policy that follows this one, and what is wrong with the snapshot: a folder that can't be used keeps the version
    /// that this policy has of it, or is left out; one that is gone, or has no configuration any more, is dropped. Where there is
    /// no folder at all, nothing changes.
    #[must_use]
    pub fn followed_by(&self, snapshot: Snapshot) -> (Self, Vec<Problem>) {
        let mut folders = match snapshot.folders {
            Ok(folders) => folders,
            Err(problem) => return (self.clone(), vec![problem]),
        };
        // a newcomer takes no path from a webhook that was there before
        folders.sort_by_key(|folder| self.of_folder(&folder.name).is_none());
        let mut webhooks: Vec<Arc<Webhook>> = Vec::with_capacity(folders.len());
        let mut carried_over = Vec::new();
        let mut problems = Vec::new();
        for folder in folders {
            let former = self.of_folder(&folder.name);
            match Webhook::parse(folder).and_then(|webhook| without_conflict(webhook, &webhooks)) {
                Ok(webhook) => webhooks.push(Arc::new(webhook)),
                Err(found) => {
                    problems.extend(found);
                    if let Some(former) = former.filter(|former| conflicts(former, &webhooks).is_empty()) {
                        carried_over.push(former.folder.clone());
                        webhooks.push(Arc::clone(former));
                    }
                }
            }
        }
        webhooks.sort_by(|a, b| a.name.cmp(&b.name));
        (Self { webhooks, carried_over }, problems)
    }

    pub fn webhooks(&self) -> &[Arc<Webhook>] {
        &self.webhooks
    }

    /// The webhook that was read from a folder.
    pub fn of_folder(&self, folder: &str) -> Option<&Arc<Webhook>> {
        self.webhooks.iter().find(|webhook| webhook.folder == folder)
    }

    /// The first webhook that is wanted, if possible one of the newest snapshot: what was carried over may be out of date.
    pub fn freshest(&self, wanted: impl Fn(&Webhook) -> bool) -> Option<&Arc<Webhook>> {
        let wanted = self.webhooks.iter().filter(|webhook| wanted(webhook));
        wanted.min_by_key(|webhook| self.carried_over.contains(&webhook.folder))
    }

    /// Which version of what is in use, for the operator.
    pub fn loaded(&self) -> LoadedConfig {
        LoadedConfig { webhooks: self.webhooks.iter().map(|webhook| webhook.loaded()).collect() }
    }
}

impl Webhook {
    /// Which version of it this is.
    pub fn loaded(&self) -> LoadedWebhook {
        LoadedWebhook {
            webhook: self.name.to_string(),
            digest: self.digest.clone(),
            slots: self.slots.iter().map(|slot| slot.id).collect(),
            certificate_digest: self.certificate_digest.clone(),
        }
    }
}

fn without_conflict(webhook: Webhook, others: &[Arc<Webhook>]) -> Result<Webhook, Vec<Problem>> {
    let problems = conflicts(&webhook, others);
    if problems.is_empty() { Ok(webhook) } else { Err(problems) }
}

/// What is wrong between webhooks that are right by themselves: a path alone must tell which one is meant.
fn conflicts(webhook: &Webhook, others: &[Arc<Webhook>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for other in others {
        let mut same = |field: String| {
            let reason = format!("the folder {} has the same", other.folder);
            problems.push(Problem::field(&webhook.folder, field, reason));
        };
        if other.name == webhook.name {
            same("webhook".to_owned());
        }
        for (position, slot) in webhook.slots.iter().enumerate() {
            if other.slots.iter().any(|other| bool::from(other.path.matches(&slot.path))) {
                same(format!("slots[{position}].path"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests;
