//! What the sidecar accepts and where it sends it: the mounted folder, checked once and turned into strong types.
//!
//! Only this module sees the raw files. A [`Policy`] is whole and valid or isn't built at all, and every mistake in the
//! folder is reported at once. Paths and tokens survive as digests only.

mod certificate;
mod problem;
pub mod reload;
mod secret;
mod snapshot;
mod webhook;

use std::{collections::BTreeMap, path::Path, sync::Arc};

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
#[derive(Debug)]
pub struct Policy {
    webhooks: Vec<Arc<Webhook>>,
}

// === impl Policy ===

impl Policy {
    /// Reads the folder as it is now.
    pub fn load(dir: &Path) -> Result<Self, Problems> {
        Self::from_snapshot(Snapshot::read(dir))
    }

    /// Checks a snapshot of the folder.
    pub fn from_snapshot(snapshot: Snapshot) -> Result<Self, Problems> {
        let Snapshot { folders, mut problems, .. } = snapshot;
        let mut webhooks = Vec::with_capacity(folders.len());
        for folder in &folders {
            match Webhook::parse(folder) {
                Ok(webhook) => webhooks.push((folder.name.as_str(), Arc::new(webhook))),
                Err(found) => problems.extend(found),
            }
        }
        problems.extend(conflicts(&webhooks));
        if problems.is_empty() {
            let mut webhooks: Vec<_> = webhooks.into_iter().map(|(_, webhook)| webhook).collect();
            webhooks.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(Self { webhooks })
        } else {
            Err(Problems(problems))
        }
    }

    pub fn webhooks(&self) -> &[Arc<Webhook>] {
        &self.webhooks
    }

    /// Which version of what is in use, for the operator.
    pub fn loaded(&self) -> LoadedConfig {
        let webhooks = self.webhooks.iter().map(|webhook| LoadedWebhook {
            webhook: webhook.name.to_string(),
            digest: webhook.digest.clone(),
            slots: webhook.slots.iter().map(|slot| slot.id).collect(),
            certificate_digest: webhook.certificate_digest.clone(),
        });
        LoadedConfig { webhooks: webhooks.collect() }
    }
}

/// What is wrong between folders that are right by themselves: a path alone must tell which webhook is meant.
fn conflicts(webhooks: &[(&str, Arc<Webhook>)]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut folder_of = BTreeMap::new();
    for (index, (folder, webhook)) in webhooks.iter().enumerate() {
        if let Some(other) = folder_of.insert(Arc::clone(&webhook.name), *folder) {
            problems.push(Problem::field(folder, "webhook", format!("the folder {other} has the same")));
        }
        for (other_folder, other) in webhooks.iter().take(index) {
            for (position, slot) in webhook.slots.iter().enumerate() {
                if other.slots.iter().any(|o| bool::from(o.path.matches(&slot.path))) {
                    let field = format!("slots[{position}].path");
                    problems.push(Problem::field(
                        folder,
                        field,
                        format!("the folder {other_folder} has the same"),
                    ));
                }
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests;
