//! Pure: do the sidecars have the secrets? Looks at the selected pods and says whether Telegram may be told.

use telegram_webhook_crds::{ConditionType, PodsStatus};

use super::{
    dereference::PodSeen,
    status::{Reason, Report},
};

/// What the pods say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// At least one pod is ready, and every ready one has loaded the current secret and path.
    Complete,
    /// Not yet, and why.
    Missing(Reason),
}

/// Compares what the sidecars have loaded with `digest`, and notes it.
pub fn assess(pods: &[PodSeen], digest: &str, report: &mut Report) -> Acknowledgement {
    let current = |pod: &&PodSeen| pod.digest.as_deref() == Some(digest);
    let protected = || pods.iter().filter(|pod| pod.sidecar);
    let bare = pods.len() - protected().count();
    let ready = protected().filter(|pod| pod.ready).count();
    let ready_and_current = protected().filter(|pod| pod.ready).filter(current).count();
    report.pods = Some(PodsStatus {
        selected: count(pods.len()),
        acknowledged: count(protected().filter(current).count()),
    });

    let sidecars = sidecars_ready(pods.len(), bare, ready, report);
    let delivered = secrets_delivered(ready, ready_and_current, report);
    match (sidecars, delivered) {
        // a pod without the sidecar gets no traffic and keeps nobody else from it
        (_, Ok(())) => Acknowledgement::Complete,
        (Err(reason), _) | (Ok(()), Err(reason)) => Acknowledgement::Missing(reason),
    }
}

fn sidecars_ready(selected: usize, bare: usize, ready: usize, report: &mut Report) -> Result<(), Reason> {
    let (reason, message) = if selected == 0 {
        (
            Reason::NoPodsSelected,
            "spec.workload.selector: no pod of this namespace has these labels together with telegram-webhook.dev/inject=true; correct the selector, or label the pods' template",
        )
    } else if bare > 0 {
        (
            Reason::SidecarMissing,
            "spec.workload.selector: selects pods that were started without the sidecar and get no updates; restart them",
        )
    } else if ready == 0 {
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

fn secrets_delivered(ready: usize, current: usize, report: &mut Report) -> Result<(), Reason> {
    if ready > 0 && current == ready {
        report.fine(
            ConditionType::SecretsDelivered,
            Reason::SecretsLoaded,
            "every ready sidecar has loaded the current secret and path",
        );
        return Ok(());
    }
    let (reason, message) = if ready == 0 {
        (Reason::PodsNotReady, "no ready sidecar is there to load the current secret and path")
    } else {
        (
            Reason::SecretsNotLoaded,
            "a ready sidecar has not loaded the current secret and path yet, or the operator can't reach its port tg-admin",
        )
    };
    report.bad(ConditionType::SecretsDelivered, reason, message);
    Err(reason)
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(ready: bool, sidecar: bool, digest: Option<&str>) -> PodSeen {
        PodSeen { ready, sidecar, digest: digest.map(str::to_owned) }
    }

    fn reasons(pods: &[PodSeen]) -> (Acknowledgement, Vec<(ConditionType, Reason)>) {
        let mut report = Report::default();
        let acknowledgement = assess(pods, "new", &mut report);
        (acknowledgement, report.findings.iter().map(|f| (f.type_, f.reason)).collect())
    }

    #[test]
    fn a_selector_that_matches_nothing_is_named() {
        let mut report = Report::default();
        let acknowledgement = assess(&[], "new", &mut report);
        assert_eq!(acknowledgement, Acknowledgement::Missing(Reason::NoPodsSelected));
        let message = &report.findings[0].message;
        assert!(message.starts_with("spec.workload.selector:"), "{message}");
    }

    #[test]
    fn one_ready_sidecar_with_the_secrets_suffices() {
        let (acknowledgement, reasons) = reasons(&[pod(true, true, Some("new")), pod(false, true, None)]);
        assert_eq!(acknowledgement, Acknowledgement::Complete);
        assert_eq!(
            reasons,
            [
                (ConditionType::SidecarsReady, Reason::PodsReady),
                (ConditionType::SecretsDelivered, Reason::SecretsLoaded)
            ]
        );
    }

    #[test]
    fn a_ready_sidecar_with_old_secrets_is_waited_for() {
        let (acknowledgement, _) = reasons(&[pod(true, true, Some("new")), pod(true, true, Some("old"))]);
        assert_eq!(acknowledgement, Acknowledgement::Missing(Reason::SecretsNotLoaded));
    }

    #[test]
    fn a_pod_without_the_sidecar_is_named_but_does_not_hold_up_the_others() {
        let (acknowledgement, reasons) = reasons(&[pod(true, true, Some("new")), pod(true, false, None)]);
        assert_eq!(acknowledgement, Acknowledgement::Complete);
        assert_eq!(reasons[0], (ConditionType::SidecarsReady, Reason::SidecarMissing));
    }

    #[test]
    fn loaded_but_not_ready_is_not_enough() {
        let (acknowledgement, _) = reasons(&[pod(false, true, Some("new"))]);
        assert_eq!(acknowledgement, Acknowledgement::Missing(Reason::PodsNotReady));
    }
}
