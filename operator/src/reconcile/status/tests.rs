use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn condition(status: &TelegramWebhookStatus, type_: ConditionType) -> Option<&Condition> {
    status.conditions.iter().find(|c| c.type_ == type_.to_string())
}

fn first(ending: &Ending) -> TelegramWebhookStatus {
    compute(&TelegramWebhookStatus::default(), 1, &Report::default(), ending, at(10))
}

#[test]
fn the_first_visit_lists_every_concern() {
    let status = first(&Ending::Waiting(Reason::PodsNotReady, "m".into()));
    for type_ in CONCERNS {
        let found = condition(&status, type_).unwrap();
        assert_eq!((found.status.as_str(), found.reason.as_str()), ("Unknown", "Pending"));
    }
    assert_eq!(status.observed_generation, 1);
}

#[test]
fn the_source_is_a_concern_from_when_something_is_known_of_it_until_it_is_none() {
    const SOURCE: ConditionType = ConditionType::SourceVisible;
    let status = |old: &_, report: &_| compute(old, 1, report, &Ending::Ready, at(20));
    let before = first(&Ending::Ready);
    assert!(condition(&before, SOURCE).is_none());
    let mut report = Report::default();
    report.doubtful(SOURCE, Reason::SourceHidden, "m");
    let known = status(&before, &report);
    assert_eq!(condition(&known, SOURCE).unwrap().status, "False");
    let kept = status(&known, &Report::default());
    assert_eq!(condition(&kept, SOURCE), condition(&known, SOURCE));
    let unconcerned = Report { unconcerned: vec![SOURCE], ..Report::default() };
    assert!(condition(&status(&kept, &unconcerned), SOURCE).is_none());
}

#[test]
fn reconciling_and_stalled_are_present_only_while_true_and_never_both() {
    let cases = [
        (Ending::Ready, false, false),
        (Ending::Suspended, false, false),
        (Ending::Waiting(Reason::PodsNotReady, "m".into()), true, false),
        (Ending::Stalled(Reason::TokenMalformed, "m".into()), false, true),
        (Ending::Interrupted(Reason::BotApiUnavailable, "m".into()), true, false),
    ];
    for (ending, reconciling, stalled) in cases {
        // whatever was there before
        for before in [
            TelegramWebhookStatus::default(),
            first(&Ending::Waiting(Reason::PodsNotReady, "m".into())),
            first(&Ending::Stalled(Reason::TokenMalformed, "m".into())),
        ] {
            let status = compute(&before, 2, &Report::default(), &ending, at(20));
            let has = |type_| condition(&status, type_).is_some();
            assert_eq!(has(ConditionType::Reconciling), reconciling, "{ending:?}");
            assert_eq!(has(ConditionType::Stalled), stalled, "{ending:?}");
        }
    }
}

#[test]
fn the_transition_time_moves_only_with_the_status() {
    let old = first(&Ending::Waiting(Reason::PodsNotReady, "m".into()));
    let same =
        compute(&old, 1, &Report::default(), &Ending::Waiting(Reason::NoPodsSelected, "n".into()), at(20));
    let ready = condition(&same, ConditionType::Ready).unwrap();
    assert_eq!((ready.last_transition_time.0, ready.reason.as_str()), (at(10), "NoPodsSelected"));
    let changed = compute(&old, 1, &Report::default(), &Ending::Ready, at(20));
    let ready = condition(&changed, ConditionType::Ready).unwrap();
    assert_eq!((ready.last_transition_time.0, ready.status.as_str()), (at(20), "True"));
}

#[test]
fn the_same_pass_again_gives_the_same_status() {
    let mut report = Report::default();
    report.fine(ConditionType::TokenValid, Reason::TokenAccepted, "m");
    let ending = Ending::Waiting(Reason::PodsNotReady, "m".into());
    let once = compute(&TelegramWebhookStatus::default(), 3, &report, &ending, at(10));
    assert_eq!(compute(&once, 3, &report, &ending, at(99)), once);
}

#[test]
fn an_interruption_does_not_take_away_ready() {
    let ready = first(&Ending::Ready);
    let interrupted = Ending::Interrupted(Reason::BotApiUnavailable, "m".into());
    let status = compute(&ready, 1, &Report::default(), &interrupted, at(20));
    assert_eq!(condition(&status, ConditionType::Ready).unwrap().status, "True");
    let never = compute(&TelegramWebhookStatus::default(), 1, &Report::default(), &interrupted, at(20));
    assert_eq!(condition(&never, ConditionType::Ready).unwrap().status, "False");
}

#[test]
fn what_a_pass_did_not_look_at_stays_as_it_was() {
    let mut report = Report::default();
    report.fine(ConditionType::WebhookRegistered, Reason::WebhookSet, "m");
    report.pods = Some(PodsStatus { selected: 2, acknowledged: 1, fallback: None });
    let before = compute(&TelegramWebhookStatus::default(), 1, &report, &Ending::Ready, at(10));
    let after = compute(
        &before,
        2,
        &Report::default(),
        &Ending::Stalled(Reason::TokenSecretNotFound, "m".into()),
        at(20),
    );
    let registered = condition(&after, ConditionType::WebhookRegistered).unwrap();
    assert_eq!((registered.status.as_str(), registered.observed_generation), ("True", Some(1)));
    assert_eq!(after.pods, before.pods);
}
