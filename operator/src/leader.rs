//! Leader election over a Lease, so that one instance at a time writes and talks to Telegram.
//!
//! The rules are client-go's: the lease is written with the resourceVersion that was read, so one of two candidates loses; and
//! whether another's lease has run out is judged by our own clock since we last saw it change, never by comparing clocks. The
//! leader stops before its lease can run out in anybody's eyes: `RENEW_DEADLINE` is shorter than `LEASE_DURATION`.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::kubernetes;

/// Name of the Lease in the operator's namespace.
pub const LEASE_NAME: &str = "telegram-webhook-operator";
const LEASE_DURATION: Duration = Duration::from_secs(15);
const LEASE_SECONDS: i32 = 15;
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_PERIOD: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// Where the Lease is kept.
pub trait LeaseStore: Send + Sync {
    /// Reads it.
    fn get(&self) -> BoxFuture<'_, Result<Option<Lease>, kubernetes::Error>>;
    /// Makes it; fails if it exists.
    fn create(&self, lease: Lease) -> BoxFuture<'_, Result<Lease, kubernetes::Error>>;
    /// Writes it; fails if it isn't the one that was read.
    fn replace(&self, lease: Lease) -> BoxFuture<'_, Result<Lease, kubernetes::Error>>;
}

/// The Lease in the cluster.
pub struct KubeLease {
    api: Api<Lease>,
}

/// A candidate for leadership, or the leader.
pub struct Elector<S> {
    store: S,
    identity: String,
    /// The lease as last seen, and since when it has looked like that.
    seen: Option<(Lease, Instant)>,
    /// Whether the last attempt failed, so that a lasting failure is told once.
    failing: bool,
}

/// What one attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Holding,
    HeldByAnother,
    /// Not known: the call failed, or somebody else wrote at the same time.
    Failed,
}

/// The lease is no longer ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the leader lease was lost")]
pub struct Lost;

// === impl KubeLease ===

impl KubeLease {
    /// `client` must not retry by itself: a late renewal is worse than none.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace) }
    }
}

impl LeaseStore for KubeLease {
    fn get(&self) -> BoxFuture<'_, Result<Option<Lease>, kubernetes::Error>> {
        Box::pin(async { Ok(self.api.get_opt(LEASE_NAME).await?) })
    }

    fn create(&self, lease: Lease) -> BoxFuture<'_, Result<Lease, kubernetes::Error>> {
        Box::pin(async move { Ok(self.api.create(&PostParams::default(), &lease).await?) })
    }

    fn replace(&self, lease: Lease) -> BoxFuture<'_, Result<Lease, kubernetes::Error>> {
        Box::pin(async move { Ok(self.api.replace(LEASE_NAME, &PostParams::default(), &lease).await?) })
    }
}

// === impl Elector ===

impl<S: LeaseStore> Elector<S> {
    /// A candidate. Two must never have the same identity.
    pub fn new(store: S, identity: String) -> Self {
        Self { store, identity, seen: None, failing: false }
    }

    /// Waits until the lease is ours.
    pub async fn acquire(&mut self) {
        while self.attempt().await != Attempt::Holding {
            sleep(RETRY_PERIOD).await;
        }
    }

    /// Renews the lease for as long as that works.
    pub async fn keep(&mut self) -> Lost {
        let mut renewed = Instant::now();
        loop {
            sleep(RETRY_PERIOD).await;
            // the lease counts from before the request, not from its answer
            let asked = Instant::now();
            match timeout_at(renewed + RENEW_DEADLINE, self.attempt()).await {
                Ok(Attempt::Holding) => renewed = asked,
                Ok(Attempt::Failed) if asked < renewed + RENEW_DEADLINE => {}
                Ok(Attempt::Failed | Attempt::HeldByAnother) | Err(_) => return Lost,
            }
        }
    }

    /// Gives the lease up, so that the next leader needn't wait for it to run out.
    pub async fn release(&mut self) {
        if !matches!(timeout(CALL_TIMEOUT, self.try_release()).await, Ok(Ok(()))) {
            tracing::info!("the leader lease could not be released and has to run out");
        }
    }

    async fn try_release(&mut self) -> Result<(), kubernetes::Error> {
        // read again: a renewal may have been cut off between its request and its answer
        let Some(mut lease) = self.store.get().await?.filter(|lease| self.holds(lease)) else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        self.store.replace(lease).await?;
        Ok(())
    }

    async fn attempt(&mut self) -> Attempt {
        let result = match timeout(CALL_TIMEOUT, self.try_attempt()).await {
            Ok(result) => result,
            Err(_) => Err(kubernetes::Error::Timeout),
        };
        let failed_before = std::mem::replace(&mut self.failing, result.is_err());
        result.unwrap_or_else(|error| {
            if !failed_before {
                tracing::warn!(%error, "the leader lease can't be read or written");
            }
            Attempt::Failed
        })
    }

    async fn try_attempt(&mut self) -> Result<Attempt, kubernetes::Error> {
        let written = match self.store.get().await? {
            None => self.store.create(self.lease(None)).await?,
            Some(lease) => {
                self.see(&lease);
                if !self.holds(&lease) && !self.is_free(&lease) {
                    return Ok(Attempt::HeldByAnother);
                }
                self.store.replace(self.lease(Some(lease))).await?
            }
        };
        self.see(&written);
        Ok(Attempt::Holding)
    }

    /// Notes when the lease last changed in our eyes.
    fn see(&mut self, lease: &Lease) {
        let same = self
            .seen
            .as_ref()
            .is_some_and(|(seen, _)| seen.metadata.resource_version == lease.metadata.resource_version);
        if !same {
            self.seen = Some((lease.clone(), Instant::now()));
        }
    }

    fn holds(&self, lease: &Lease) -> bool {
        holder(lease) == Some(&self.identity)
    }

    /// Nobody holds it, or who does hasn't renewed it in time.
    fn is_free(&self, lease: &Lease) -> bool {
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let duration = seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(LEASE_DURATION, Duration::from_secs);
        let run_out = self.seen.as_ref().is_some_and(|(_, since)| since.elapsed() > duration);
        holder(lease).is_none() || run_out
    }

    /// The lease with us as its holder.
    fn lease(&self, current: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = current.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(LEASE_NAME.to_owned()), ..ObjectMeta::default() },
            spec: None,
        });
        let renewal = self.holds(&lease);
        let former = lease.spec.take().unwrap_or_default();
        let transitions = former.lease_transitions.unwrap_or(0);
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            acquire_time: if renewal { former.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if renewal { transitions } else { transitions + 1 }),
            ..LeaseSpec::default()
        });
        lease
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    let holder = lease.spec.as_ref()?.holder_identity.as_ref()?;
    (!holder.is_empty()).then_some(holder)
}

#[cfg(test)]
mod tests;
