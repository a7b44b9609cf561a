//! Keeps the policy up to date with the mounted folder, or with the configuration file.
//!
//! Polls, because the kubelet replaces a link and not the files: a watch on a file would see its last event there. Each folder of a
//! new version is taken as a whole; when one is bad its old version stays in use, and that is said and counted once per version.
//! One without a configuration is nothing bad: its webhook isn't there yet or was deleted, and is left out. A file is taken as a
//! whole, with the certificates that it names.

use std::{mem, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{CurrentPolicy, Policy, Problem, Problems, Snapshot, Source};
use crate::metrics::Metrics;

/// Looks for new versions and swaps them in.
pub struct Reloader {
    source: Source,
    metrics: Metrics,
    policy: CurrentPolicy,
    changed: Arc<Notify>,
    seen: Seen,
    /// Folders without a configuration, said to be left out.
    absent: Vec<String>,
}

/// What was read last.
struct Seen {
    link: Option<PathBuf>,
    digest: [u8; 32],
    good: bool,
}

/// What a look led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    Unchanged,
    /// All of it is in use.
    Loaded,
    /// Some of it can't be used, or none.
    Refused,
}

// === impl Reloader ===

impl Reloader {
    /// Loads for the first time: without a single webhook nothing starts.
    pub fn load(source: Source, metrics: Metrics) -> Result<Self, Problems> {
        let mut snapshot = source.read();
        let seen = Seen::of(&snapshot);
        let absent = mem::take(&mut snapshot.absent);
        let (policy, problems) = Policy::default().followed_by(snapshot);
        if policy.webhooks().is_empty() {
            return Err(Problems::at_start(problems, absent));
        }
        let mut reloader = Self {
            source,
            metrics,
            policy: Arc::default(),
            changed: Arc::default(),
            seen,
            absent: Vec::new(),
        };
        reloader.take(policy, &problems, absent);
        Ok(reloader)
    }

    /// The policy that this keeps up to date.
    pub fn policy(&self) -> CurrentPolicy {
        Arc::clone(&self.policy)
    }

    /// Tells one who waits that another policy is in use.
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Looks every `period` until told to stop.
    pub async fn run(mut self, period: Duration, stop: CancellationToken) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let looked = spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(reloader) => self = reloader,
                Err(error) => {
                    tracing::error!(%error, "configuration is no longer reloaded");
                    return;
                }
            }
        }
    }

    /// Takes over what is there now, if it is new, as far as it is valid.
    pub fn look(&mut self) -> Reload {
        // a link that hasn't moved says that nothing changed, unless what it names couldn't be used
        let link = self.source.link();
        if self.seen.good && link.is_some() && link == self.seen.link {
            return Reload::Unchanged;
        }
        let mut snapshot = self.source.read();
        if snapshot.digest == self.seen.digest {
            self.seen.link = snapshot.link;
            return Reload::Unchanged;
        }
        self.seen = Seen::of(&snapshot);
        let absent = mem::take(&mut snapshot.absent);
        let (policy, problems) = self.policy.load().followed_by(snapshot);
        self.take(policy, &problems, absent)
    }

    /// Puts the policy in use and says what became of each folder.
    fn take(&mut self, policy: Policy, problems: &[Problem], absent: Vec<String>) -> Reload {
        self.seen.good = problems.is_empty();
        self.metrics.config_reloaded(problems.is_empty());
        let former = self.policy.swap(Arc::new(policy));
        self.changed.notify_one();
        let policy = self.policy.load();
        for problem in problems {
            if problem.folder().is_none_or(|folder| policy.of_folder(folder).is_some()) {
                tracing::error!(%problem, "new configuration refused, the old one stays in use");
            } else {
                tracing::error!(%problem, "configuration refused, its webhook is left out");
            }
        }
        log_changes(&former, &policy);
        // of a webhook that was served it is said already that it was removed
        let left_out = |folder: &&String| !self.absent.contains(folder) && former.of_folder(folder).is_none();
        for folder in absent.iter().filter(left_out) {
            tracing::warn!(folder, "no configuration: its TelegramWebhook is not ready yet or was deleted");
        }
        self.absent = absent;
        if problems.is_empty() { Reload::Loaded } else { Reload::Refused }
    }
}

// === impl Seen ===

impl Seen {
    fn of(snapshot: &Snapshot) -> Self {
        Self { link: snapshot.link.clone(), digest: snapshot.digest, good: false }
    }
}

fn log_changes(former: &Policy, policy: &Policy) {
    for webhook in policy.webhooks() {
        if former.webhooks().iter().any(|former| Arc::ptr_eq(former, webhook)) {
            continue;
        }
        let loaded = webhook.loaded();
        tracing::info!(
            webhook = loaded.webhook,
            digest = loaded.digest,
            slots = ?loaded.slots,
            certificate_digest = loaded.certificate_digest,
            "configuration loaded"
        );
        for doubt in webhook.doubts() {
            tracing::warn!(webhook = loaded.webhook, problem = %doubt, "Telegram may not connect");
        }
    }
    let names: Vec<_> = policy.webhooks().iter().map(|webhook| &webhook.name).collect();
    for webhook in former.webhooks().iter().filter(|former| !names.contains(&&former.name)) {
        tracing::info!(webhook = %webhook.name, "configuration removed");
    }
}

#[cfg(test)]
mod tests;
