//! Pure: does the fallback take updates in, or would it?

use telegram_webhook_crds::ConditionType;

use super::{
    acknowledgement::Expected,
    dereference::PodSeen,
    status::{Reason, Report},
};

const RECEIVES: &str = "no pod of the CRM is ready: the fallback takes updates in, and the CRM's pods deliver them once they are back";
const STANDS_BY: &str = "the fallback takes updates in while no pod of the CRM is ready";
const NOT_LOADED: &str = "spec.fallback: none of its pods has loaded the current secret and path, so nobody would take updates in without the CRM; see the Deployment <name>-telegram-webhook-fallback and its pods, and the log of their sidecar";
const NOT_READY: &str = "spec.fallback: no pod of the CRM is ready, and none of the fallback's either: nobody takes updates in, and Telegram keeps them; see the Deployment <name>-telegram-webhook-fallback and its pods' conditions";

/// Notes how the fallback stands. `declared`: whether there is to be one.
pub fn fallback(pods: &[PodSeen], expected: &Expected, declared: bool, report: &mut Report) {
    const CONCERN: ConditionType = ConditionType::FallbackReady;
    if !declared {
        report.unconcerned.push(CONCERN);
        return;
    }
    let is_current =
        |pod: &&PodSeen| pod.sidecar.as_ref().is_some_and(|sidecar| expected.is_loaded_by(sidecar));
    let (fallback, crm): (Vec<&PodSeen>, Vec<&PodSeen>) = pods.iter().partition(|pod| pod.of_fallback);
    let current: Vec<_> = fallback.into_iter().filter(is_current).collect();
    if let Some(counted) = &mut report.pods {
        counted.fallback = Some(i32::try_from(current.len()).unwrap_or(i32::MAX));
    }
    // one without a sidecar gets no updates
    let crm_is_ready = crm.iter().any(|pod| pod.ready && pod.sidecar.is_some());
    // the webhook may be ready all the same
    if current.is_empty() {
        report.doubtful(CONCERN, Reason::FallbackNotReady, NOT_LOADED);
    } else if crm_is_ready {
        report.fine(CONCERN, Reason::FallbackStandsBy, STANDS_BY);
    } else if current.iter().any(|pod| pod.ready) {
        report.fine(CONCERN, Reason::FallbackReceives, RECEIVES);
    } else {
        report.doubtful(CONCERN, Reason::FallbackNotReady, NOT_READY);
    }
}

#[cfg(test)]
mod tests {
    use telegram_webhook_crds::PodsStatus;

    use super::*;
    use crate::fixtures::seen::{self, expected, loaded};

    fn pod(of_fallback: bool, ready: bool, digest: &str) -> PodSeen {
        PodSeen { of_fallback, ready, ..seen::pod(loaded(digest)) }
    }

    fn noted(pods: &[PodSeen]) -> (bool, Reason, Option<i32>) {
        let mut report = Report {
            pods: Some(PodsStatus { selected: 0, acknowledged: 0, fallback: None }),
            ..Report::default()
        };
        fallback(pods, &expected(), true, &mut report);
        let finding = report.findings.pop().unwrap();
        assert_eq!(finding.needed, finding.fine, "the webhook may be ready without it");
        (finding.fine, finding.reason, report.pods.unwrap().fallback)
    }

    #[test]
    fn it_stands_by_while_the_crm_is_ready_and_receives_while_it_is_not() {
        let (crm, waiting) = (pod(false, true, "new"), pod(true, false, "new"));
        let stands_by = (true, Reason::FallbackStandsBy, Some(1));
        assert_eq!(noted(&[crm, waiting.clone()]), stands_by);
        let receives = (true, Reason::FallbackReceives, Some(2));
        assert_eq!(noted(&[pod(true, true, "new"), waiting.clone(), pod(false, false, "new")]), receives);
        assert_eq!(noted(&[waiting]), (false, Reason::FallbackNotReady, Some(1)));
    }

    #[test]
    fn without_the_current_secrets_it_would_take_nothing_in() {
        for pods in [vec![], vec![pod(true, true, "old")], vec![pod(false, true, "new")]] {
            assert_eq!(noted(&pods), (false, Reason::FallbackNotReady, Some(0)));
        }
    }

    #[test]
    fn a_pod_without_a_sidecar_is_not_one_that_receives() {
        let bare = PodSeen { ready: true, ..PodSeen::default() };
        assert_eq!(noted(&[bare, pod(true, true, "new")]).1, Reason::FallbackReceives);
    }

    #[test]
    fn nothing_is_said_where_none_is_declared() {
        let mut report = Report::default();
        fallback(&[pod(true, true, "new")], &expected(), false, &mut report);
        assert!(report.findings.is_empty());
        assert_eq!(report.unconcerned, [ConditionType::FallbackReady]);
    }
}
