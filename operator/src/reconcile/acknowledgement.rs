//! Pure: do the sidecars have the secrets? Looks at the selected pods and says whether Telegram may be told.

use telegram_webhook_crds::{ConditionType, PodsStatus};

use super::{
    dereference::{PodSeen, Sidecar},
    status::{Reason, Report},
};
use crate::place::Place;

/// What a sidecar must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Names the version of the configuration.
    pub digest: String,
    /// Names the version before it, if that will do as well.
    pub superseded: Option<String>,
    /// Names the certificate chain that was validated; `None` if none was, and then Telegram isn't told anything anyway.
    pub certificate: Option<String>,
    /// The Secrets with the two.
    pub secrets: [String; 2],
    /// Where its queue must be, if it is to have one.
    pub place: Option<Place>,
}

// === impl Expected ===

impl Expected {
    /// Whether a sidecar has the configuration.
    pub fn is_loaded_by(&self, sidecar: &Sidecar) -> bool {
        let will_do = |digest: &String| *digest == self.digest || self.superseded.as_ref() == Some(digest);
        sidecar.loaded.as_ref().is_some_and(|loaded| will_do(&loaded.digest))
    }
}

/// What the pods say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// At least one pod is ready, and every ready one has loaded the current secret, path and certificate.
    Complete,
    /// The same, but for the certificate: what Telegram has may stay, and it must not be sent here anew.
    OtherCertificate,
    /// Not yet, and why.
    Missing(Reason),
}

/// Compares what the sidecars have with what they must have, and notes it. Those of a fallback aren't the CRM's, and are never waited
/// for to be ready; but one that runs must have what Telegram is told before it takes over.
pub fn assess(pods: &[PodSeen], expected: &Expected, report: &mut Report) -> Acknowledgement {
    let (fallback, crm): (Vec<&PodSeen>, Vec<&PodSeen>) = pods.iter().partition(|pod| pod.of_fallback);
    let (sidecars, fallback) = (with_sidecar(&crm), with_sidecar(&fallback));
    let receivers = || sidecars.iter().chain(&fallback).copied();
    let current = |sidecar: &Sidecar| expected.is_loaded_by(sidecar);
    let certified = |sidecar: &Sidecar| {
        let served = sidecar.loaded.as_ref().map(|loaded| &loaded.certificate_digest);
        expected.certificate.is_none() || expected.certificate.as_ref() == served
    };
    let is_behind = |sidecar: &Sidecar| sidecar.loaded.is_some() && !current(sidecar);
    let is_misplaced = |sidecar: &Sidecar| match (&sidecar.place, &expected.place) {
        (Some(place), Some(wanted)) => !place.is_enough_for(wanted),
        (_, None) | (None, _) => false,
    };
    let is_outdated = |sidecar: &Sidecar| {
        !expected.secrets.iter().all(|name| sidecar.secrets.contains(name)) || is_misplaced(sidecar)
    };
    let counts = Counts {
        selected: crm.len(),
        bare: crm.len() - sidecars.len(),
        outdated: sidecars.iter().filter(|(_, sidecar)| is_outdated(sidecar)).count(),
        ready: sidecars.iter().filter(|(ready, _)| *ready).count(),
        receiving: receivers().filter(|(ready, _)| *ready).count(),
        behind: receivers().filter(|(ready, sidecar)| *ready && !current(sidecar)).count()
            + fallback.iter().filter(|(ready, sidecar)| !ready && is_behind(sidecar)).count(),
    };
    report.pods = Some(PodsStatus {
        selected: count(crm.len()),
        acknowledged: count(sidecars.iter().filter(|(_, sidecar)| current(sidecar)).count()),
        fallback: None,
    });

    let all_ready = sidecars_ready(&counts, report);
    let delivered = secrets_delivered(&counts, report);
    match (all_ready, delivered) {
        // a pod without the sidecar gets no traffic and keeps nobody else from it
        (_, Ok(())) if receivers().all(|(ready, sidecar)| !ready || certified(sidecar)) => {
            Acknowledgement::Complete
        }
        (_, Ok(())) => Acknowledgement::OtherCertificate,
        (Err(reason), _) | (Ok(()), Err(reason)) => Acknowledgement::Missing(reason),
    }
}

/// The sidecars of pods, and whether the pods are ready.
fn with_sidecar<'a>(pods: &[&'a PodSeen]) -> Vec<(bool, &'a Sidecar)> {
    pods.iter().filter_map(|pod| Some((pod.ready, pod.sidecar.as_ref()?))).collect()
}

/// Pods in numbers. Those of the CRM, where nothing else is said.
struct Counts {
    selected: usize,
    /// Without the sidecar.
    bare: usize,
    /// With one that can't have what it must have, because its volumes were fixed when the pod was created.
    outdated: usize,
    /// Ready, with the sidecar.
    ready: usize,
    /// The same, and those of the fallback.
    receiving: usize,
    /// Those of them that don't have the current secret and path, and of the fallback those that would take over without.
    behind: usize,
}

fn sidecars_ready(counts: &Counts, report: &mut Report) -> Result<(), Reason> {
    let (reason, message) = if counts.selected == 0 {
        (
            Reason::NoPodsSelected,
            "spec.workload.selector: no pod of this namespace has these labels together with telegram-webhook.dev/inject=true; correct the selector, or label the pods' template",
        )
    } else if counts.bare > 0 {
        (
            Reason::SidecarMissing,
            "spec.workload.selector: selects pods that were started without the sidecar and get no updates; restart their workload (kubectl rollout restart)",
        )
    } else if counts.outdated > 0 {
        (
            Reason::SidecarOutdated,
            "spec.workload.selector: selects pods whose sidecar was started before this resource, with another Secret than spec.endpoint.tls.secretRef, or with less room or another volume than spec.delivery.backend.embedded, and can't do what is declared now; restart their workload (kubectl rollout restart)",
        )
    } else if counts.ready == 0 {
        (
            Reason::PodsNotReady,
            "spec.workload.selector: none of the selected pods is ready; see the pods' own conditions",
        )
    } else {
        report.fine(
            ConditionType::SidecarsReady,
            Reason::PodsReady,
            "selected pods are ready with their sidecar",
        );
        return Ok(());
    };
    report.bad(ConditionType::SidecarsReady, reason, message);
    Err(reason)
}

fn secrets_delivered(counts: &Counts, report: &mut Report) -> Result<(), Reason> {
    let &Counts { receiving, behind, .. } = counts;
    if receiving > 0 && behind == 0 {
        report.fine(
            ConditionType::SecretsDelivered,
            Reason::SecretsLoaded,
            "every ready sidecar has loaded the current secret and path",
        );
        return Ok(());
    }
    let (reason, message) = if receiving == 0 {
        (Reason::PodsNotReady, "no ready sidecar is there to load the current secret and path")
    } else {
        (
            Reason::SecretsNotLoaded,
            "a ready sidecar, or one of the fallback, has not loaded the current configuration yet, which takes up to 90 seconds; if it lasts, see the sidecar's log, which names what it refuses, and let the operator reach the pods' port 18444 (NetworkPolicy)",
        )
    };
    report.bad(ConditionType::SecretsDelivered, reason, message);
    Err(reason)
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
