use super::*;

const CHAT: u64 = 7;

fn ledger(acknowledged: &[u64], delivered: &[(u64, u64)]) -> Ledger {
    let mut ledger = Ledger::new(true);
    for update in acknowledged {
        ledger.acknowledged(*update);
    }
    for (update, chat) in delivered {
        ledger.delivered(*update, *chat, Some(&format!("1-{update}")));
        ledger.answered(*update);
    }
    ledger
}

#[test]
fn chats_may_overtake_each_other() {
    let verdict = ledger(&[1, 2, 3], &[(3, 8), (1, CHAT), (2, CHAT)]).verdict();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.acked, verdict.delivered), (3, 3));
}

#[test]
fn an_acknowledged_update_that_never_comes_is_lost_and_one_that_was_not_is_none() {
    let ledger = ledger(&[1, 2], &[(1, CHAT), (3, CHAT)]);
    let verdict = ledger.verdict();
    assert_eq!((verdict.acked, verdict.delivered, verdict.lost), (2, 2, 1));
    assert!(ledger.waiting() == 1 && !verdict.is_clean());
}

#[test]
fn an_effect_after_that_of_a_later_update_of_the_chat_is_out_of_order() {
    let verdict = ledger(&[1, 2], &[(2, CHAT), (1, CHAT)]).verdict();
    assert!(verdict.out_of_order == 1 && !verdict.is_clean());
}

#[test]
fn what_comes_again_after_a_crash_has_no_second_effect_nor_is_it_out_of_order() {
    let mut ledger = ledger(&[1, 2], &[(1, CHAT), (2, CHAT)]);
    ledger.broken();
    ledger.delivered(1, CHAT, Some("1-1"));
    let verdict = ledger.verdict();
    assert!(verdict.is_clean() && verdict.redelivered == 1, "{verdict}");
}

#[test]
fn what_comes_again_although_nothing_broke_is_a_fault() {
    let mut ledger = ledger(&[1], &[(1, CHAT)]);
    ledger.delivered(1, CHAT, Some("1-1"));
    assert!(ledger.verdict().repeated == 1 && !ledger.verdict().is_clean());
}

#[test]
fn a_forbidden_update_may_not_come_again_after_a_crash_either() {
    let mut ledger = ledger(&[1], &[(1, CHAT)]);
    ledger.forbid([1]);
    ledger.broken();
    ledger.delivered(1, CHAT, Some("1-1"));
    assert_eq!(ledger.verdict().repeated, 1);
}

#[test]
fn without_an_id_of_its_own_a_second_delivery_has_a_second_effect() {
    for (first, second) in [(None, None), (Some("1-1"), None), (Some("1-1"), Some("1-1-again"))] {
        let mut ledger = ledger(&[1], &[]);
        ledger.delivered(1, CHAT, first);
        ledger.delivered(1, CHAT, second);
        assert_eq!(ledger.verdict().duplicate_effects, 1, "{first:?} {second:?}");
    }
}

#[test]
fn an_update_with_the_id_of_another_is_lost() {
    let mut ledger = ledger(&[1, 2], &[(1, CHAT)]);
    ledger.delivered(2, CHAT, Some("1-1"));
    assert_eq!(ledger.verdict().lost, 1);
}

#[test]
fn where_an_answer_settles_nothing_an_update_may_come_again() {
    let mut ledger = Ledger::new(false);
    ledger.acknowledged(1);
    ledger.delivered(1, CHAT, Some("1-1"));
    ledger.answered(1);
    ledger.delivered(1, CHAT, Some("1-1"));
    assert!(ledger.verdict().is_clean() && ledger.verdict().redelivered == 1);
}
