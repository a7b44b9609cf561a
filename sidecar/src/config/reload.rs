//! Keeps the policy up to date with the mounted folder.
//!
//! Polls, because the kubelet replaces a link and not the files: a watch on a file would see its last event there. A new version
//! is taken as a whole; when it is bad the old one stays in use, and that is said and counted once per version.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use telegram_webhook_sidecar_config::LoadedConfig;
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{CurrentPolicy, Policy, Problems, Snapshot};
use crate::metrics::Metrics;

/// Looks for new versions of the folder and swaps them in.
pub struct Reloader {
    dir: PathBuf,
    metrics: Metrics,
    policy: CurrentPolicy,
    seen: Seen,
}

/// What was read last.
struct Seen {
    link: Option<PathBuf>,
    digest: [u8; 32],
    good: bool,
}

/// What a look at the folder led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    Unchanged,
    Loaded,
    Refused,
}

// === impl Reloader ===

impl Reloader {
    /// Loads the folder for the first time: without a valid configuration nothing starts.
    pub fn load(dir: PathBuf, metrics: Metrics) -> Result<Self, Problems> {
        let snapshot = Snapshot::read(&dir);
        let seen = Seen::of(&snapshot, true);
        let policy = Policy::from_snapshot(snapshot)?;
        metrics.config_reloaded(true);
        log_loaded(policy.loaded());
        Ok(Self { dir, metrics, policy: Arc::new(ArcSwap::from_pointee(policy)), seen })
    }

    /// The policy that this keeps up to date.
    pub fn policy(&self) -> CurrentPolicy {
        Arc::clone(&self.policy)
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

    /// Takes over what is in the folder now, if it is new and valid.
    pub fn look(&mut self) -> Reload {
        // a link that hasn't moved says that nothing changed, unless what it names couldn't be used
        let link = Snapshot::link(&self.dir);
        if self.seen.good && link.is_some() && link == self.seen.link {
            return Reload::Unchanged;
        }
        let snapshot = Snapshot::read(&self.dir);
        if snapshot.digest == self.seen.digest {
            self.seen.link = snapshot.link;
            return Reload::Unchanged;
        }
        let mut seen = Seen::of(&snapshot, true);
        let reload = match Policy::from_snapshot(snapshot) {
            Ok(policy) => {
                let loaded = policy.loaded();
                self.policy.store(Arc::new(policy));
                self.metrics.config_reloaded(true);
                log_loaded(loaded);
                Reload::Loaded
            }
            Err(problems) => {
                seen.good = false;
                self.metrics.config_reloaded(false);
                for problem in problems.iter() {
                    tracing::error!(%problem, "new configuration refused, the old one stays in use");
                }
                Reload::Refused
            }
        };
        self.seen = seen;
        reload
    }
}

// === impl Seen ===

impl Seen {
    fn of(snapshot: &Snapshot, good: bool) -> Self {
        Self { link: snapshot.link.clone(), digest: snapshot.digest, good }
    }
}

fn log_loaded(loaded: LoadedConfig) {
    for webhook in loaded.webhooks {
        tracing::info!(
            webhook = webhook.webhook,
            digest = webhook.digest,
            slots = ?webhook.slots,
            certificate_digest = webhook.certificate_digest,
            "configuration loaded"
        );
    }
}

#[cfg(test)]
mod tests;
