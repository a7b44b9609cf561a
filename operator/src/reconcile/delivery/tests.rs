use telegram_webhook_sidecar_config::LoadedWebhook;

use super::*;
use crate::fixtures::seen::{self, expected, loaded};

fn pod(digest: &str, delivery: impl Into<Option<DeliveryState>>) -> PodSeen {
    seen::pod(LoadedWebhook { delivery: delivery.into(), ..loaded(digest) })
}

const HEALTHY: DeliveryState = DeliveryState {
    backend: BackendKind::Embedded,
    durable: true,
    crm_reachable: true,
    queued: 7,
    oldest_seconds: 3,
    dead_letters: 0,
};

/// Fine, needed, reason and message.
fn noted(pods: &[PodSeen], answer_after: AnswerAfter) -> Option<(bool, bool, Reason, String)> {
    let mut report = Report::default();
    delivery(pods, &expected(), answer_after, &mut report);
    report.findings.pop().map(|found| (found.fine, found.needed, found.reason, found.message))
}

fn verdict(states: &[DeliveryState]) -> (bool, bool, Reason) {
    let pods: Vec<_> = states.iter().map(|state| pod("new", *state)).collect();
    let (fine, needed, reason, _) = noted(&pods, AnswerAfter::Stored).unwrap();
    (fine, needed, reason)
}

#[test]
fn one_pod_in_trouble_is_enough_and_the_worst_is_named() {
    let dead = DeliveryState { dead_letters: 1, ..HEALTHY };
    let late = DeliveryState { oldest_seconds: 301, ..dead };
    let refused = DeliveryState { crm_reachable: false, ..late };
    let broken = DeliveryState { durable: false, ..refused };
    assert_eq!(verdict(&[HEALTHY]), (true, true, Reason::UpdatesDelivered));
    assert_eq!(verdict(&[HEALTHY, dead]), (true, true, Reason::DeadLetters));
    assert_eq!(verdict(&[HEALTHY, late]), (false, false, Reason::UpdatesDelayed));
    assert_eq!(verdict(&[late, refused]), (false, false, Reason::CrmNotTaking));
    assert_eq!(verdict(&[broken, refused]), (false, true, Reason::NotDurable));
    assert_eq!(verdict(&[DeliveryState { oldest_seconds: 300, ..HEALTHY }]).2, Reason::UpdatesDelivered);
}

#[test]
fn numbers_that_move_do_not_change_what_is_said() {
    let told = |state| noted(&[pod("new", state)], AnswerAfter::Stored);
    let busier = DeliveryState { queued: 900, oldest_seconds: 200, ..HEALTHY };
    assert_eq!(told(HEALTHY), told(busier));
    let dead = |dead_letters| told(DeliveryState { dead_letters, ..HEALTHY });
    assert_eq!(dead(1), dead(99));
}

#[test]
fn what_queues_of_several_pods_can_not_promise_is_said() {
    let message = |states: &[DeliveryState], answer_after| {
        let pods: Vec<_> = states.iter().map(|state| pod("new", *state)).collect();
        noted(&pods, answer_after).unwrap().3
    };
    let shared = DeliveryState { backend: BackendKind::Redis, ..HEALTHY };
    let one = message(&[HEALTHY], AnswerAfter::Stored);
    assert!(one.contains("each pod's own") && !one.contains("overtake"), "{one}");
    let two = message(&[HEALTHY, HEALTHY], AnswerAfter::Stored);
    assert!(two.contains("each pod's own") && two.contains("spec.delivery.answerAfter Delivered"), "{two}");
    assert!(!message(&[HEALTHY, HEALTHY], AnswerAfter::Delivered).contains("overtake"));
    assert_eq!(message(&[shared, shared], AnswerAfter::Stored), "updates reach the CRM");
}

#[test]
fn without_a_queue_there_is_no_condition_and_without_a_word_it_stays() {
    let unconcerned = |pods: &[PodSeen]| {
        let mut report = Report::default();
        delivery(pods, &expected(), AnswerAfter::Stored, &mut report);
        assert!(report.findings.is_empty());
        report.unconcerned == [ConditionType::DeliveryHealthy]
    };
    assert!(unconcerned(&[pod("new", None), pod("old", HEALTHY)]));
    assert!(!unconcerned(&[pod("old", HEALTHY)]));
    assert!(!unconcerned(&[PodSeen { ready: true, ..PodSeen::default() }]));
}

#[test]
fn a_fallback_alone_delivers_nothing() {
    let state = DeliveryState { backend: BackendKind::Redis, ..HEALTHY };
    let fallback = PodSeen { of_fallback: true, ..pod("new", state) };
    let crm = pod("new", state);
    let verdict = |pods: &[PodSeen]| noted(pods, AnswerAfter::Stored).unwrap();
    let (fine, needed, reason, message) = verdict(std::slice::from_ref(&fallback));
    assert_eq!((fine, needed, reason), (false, false, Reason::CrmNotTaking));
    assert!(message.contains("the fallback stores"), "{message}");
    assert_eq!(verdict(&[fallback.clone(), crm]).2, Reason::UpdatesDelivered);
    let broken = PodSeen { of_fallback: true, ..pod("new", DeliveryState { durable: false, ..state }) };
    assert_eq!(verdict(&[broken]).2, Reason::NotDurable);
}
