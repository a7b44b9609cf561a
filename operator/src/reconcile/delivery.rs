//! Pure: does what is stored reach the CRM? Each sidecar tells how its queue stands; the numbers are metrics, this is what they mean.

use telegram_webhook_crds::ConditionType;
use telegram_webhook_sidecar_config::{AnswerAfter, BackendKind, DeliveryState};

use super::{
    acknowledgement::Expected,
    dereference::PodSeen,
    status::{Reason, Report},
};

/// An update that waits for longer than this is late, whatever the reason.
const LATE_SECONDS: u64 = 300;

const NOT_DURABLE: &str = "spec.delivery.backend: a sidecar can't store updates durably, so Telegram is told to keep them; its log says why (a broken disk, a broker that can't be reached or that doesn't keep what it acknowledges)";
const NOT_TAKING: &str = "spec.workload.upstream: a CRM doesn't take updates; they wait, and nothing is lost; see the CRM's log, and the sidecar's for what the CRM answers";
const DELAYED: &str = "updates have been waiting for more than 5 minutes though the CRM takes others; see the sidecar's log for what the CRM answers, and spec.delivery.concurrency if the CRM could take more at a time";
const NO_CRM: &str = "spec.workload.selector: no pod of the CRM runs, so nobody delivers; the fallback stores updates, and nothing is lost";
const DEAD: &str = "updates reach the CRM, but some that it didn't take were set aside as dead letters; look at them, and replay them once the cause is mended: kubectl exec POD -c telegram-webhook-sidecar -- /telegram-webhook-sidecar dead-letters";
const DELIVERED: &str = "updates reach the CRM";
const PER_POD: &str =
    "the queue is each pod's own, so duplicates and bans are known to the pod that has seen them";
const UNORDERED: &str = "with several pods a chat's updates may overtake each other: use spec.delivery.answerAfter Delivered, or one pod";

/// Notes what the sidecars tell. One that has another configuration may have another queue.
pub fn delivery(pods: &[PodSeen], expected: &Expected, answer_after: AnswerAfter, report: &mut Report) {
    const CONCERN: ConditionType = ConditionType::DeliveryHealthy;
    let sidecars = pods.iter().filter_map(|pod| Some((pod.of_fallback, pod.sidecar.as_ref()?)));
    let (of_fallback, current): (Vec<_>, Vec<_>) =
        sidecars.filter(|(_, sidecar)| expected.is_loaded_by(sidecar)).unzip();
    if current.is_empty() {
        return;
    }
    let states: Vec<DeliveryState> =
        current.iter().filter_map(|sidecar| sidecar.loaded.as_ref()?.delivery).collect();
    if states.is_empty() {
        report.unconcerned.push(CONCERN);
        return;
    }
    let message = |text: &str| scoped(text, &states, answer_after);
    if states.iter().any(|state| !state.durable) {
        report.bad(CONCERN, Reason::NotDurable, message(NOT_DURABLE));
    } else if of_fallback.iter().all(|of_fallback| *of_fallback) {
        report.doubtful(CONCERN, Reason::CrmNotTaking, NO_CRM);
    } else if states.iter().any(|state| !state.crm_reachable) {
        // updates are still taken in, and the CRM's own probe says whether its pod is ready
        report.doubtful(CONCERN, Reason::CrmNotTaking, message(NOT_TAKING));
    } else if states.iter().any(|state| state.oldest_seconds > LATE_SECONDS) {
        report.doubtful(CONCERN, Reason::UpdatesDelayed, message(DELAYED));
    } else if states.iter().any(|state| state.dead_letters > 0) {
        // a matter of the past: what comes now is delivered, and a week of False would hide what is wrong today
        report.fine(CONCERN, Reason::DeadLetters, message(DEAD));
    } else {
        report.fine(CONCERN, Reason::UpdatesDelivered, message(DELIVERED));
    }
}

/// With what several queues can't promise.
fn scoped(text: &str, states: &[DeliveryState], answer_after: AnswerAfter) -> String {
    let own = states.iter().any(|state| state.backend == BackendKind::Embedded);
    if !own {
        return text.to_owned();
    }
    if states.len() > 1 && answer_after == AnswerAfter::Stored {
        format!("{text}; {PER_POD}; {UNORDERED}")
    } else {
        format!("{text}; {PER_POD}")
    }
}

#[cfg(test)]
mod tests;
