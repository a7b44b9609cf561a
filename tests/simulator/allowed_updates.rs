//! The parameter `allowed_updates` (section 1.2).

use serde_json::json;
use telegram_webhook_tests::telegram::{control::Enqueue, kinds::Kind};

use crate::{
    bench::{Bench, URL},
    script::Action,
};

async fn shown_after(bench: &Bench, parameter: &str) -> serde_json::Value {
    bench.set(&[("url", URL), ("allowed_updates", parameter)]).await;
    bench.info().await["allowed_updates"].clone()
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_bad_lists_keep_the_earlier_setting_without_an_error() {
    let bench = Bench::start_with(|_| Action::ok(), &[("allowed_updates", r#"["message"]"#)]).await;
    for bad in ["", "message", "{\"message\":1}", r#"["poll",1]"#, "[\"poll\""] {
        assert_eq!(shown_after(&bench, bad).await, json!(["message"]), "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_an_empty_list_or_only_unknown_names_mean_the_default_which_is_not_shown() {
    for list in ["[]", r#"["subscription"]"#] {
        let bench = Bench::start_with(|_| Action::ok(), &[("allowed_updates", r#"["message"]"#)]).await;
        assert_eq!(shown_after(&bench, list).await, json!(null), "{list}");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_unknown_names_among_known_ones_are_dropped_and_case_is_ignored() {
    let bench = Bench::start(|_| Action::ok()).await;
    let shown = shown_after(&bench, r#"["POLL","subscription","Message"]"#).await;
    assert_eq!(shown, json!(["message", "poll"]));
}

#[tokio::test(start_paused = true)]
async fn fact_2_listing_every_default_kind_by_hand_is_not_the_default_and_is_shown() {
    let bench = Bench::start(|_| Action::ok()).await;
    let names: Vec<&str> = Kind::public()
        .filter(|kind| !matches!(kind, Kind::ChatMember | Kind::MessageReaction | Kind::MessageReactionCount))
        .map(Kind::name)
        .collect();
    let shown = shown_after(&bench, &json!(names).to_string()).await;
    assert_eq!(shown, json!(names));
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_the_setting_survives_delete_webhook_and_get_updates_changes_it() {
    let bench = Bench::start_with(|_| Action::ok(), &[("allowed_updates", r#"["message"]"#)]).await;
    bench.call("deleteWebhook", &[]).await;
    assert_eq!(bench.info().await["allowed_updates"], json!(["message"]));
    bench.call("getUpdates", &[("allowed_updates", r#"["poll"]"#)]).await;
    assert_eq!(bench.info().await["allowed_updates"], json!(["poll"]));
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_an_excluded_kind_is_lost_when_made_takes_no_number_and_never_comes_back() {
    let bench = Bench::start_with(|_| Action::ok(), &[("allowed_updates", r#"["message"]"#)]).await;
    let poll = Enqueue { kinds: vec!["poll".to_owned()], ..Enqueue::default() };
    let first = bench.enqueue(&[1])[0];
    assert!(bench.make(&poll).is_empty());
    let second = bench.enqueue(&[1])[0];
    assert_eq!(second, first + 1, "contiguous");
    shown_after(&bench, r#"["message","poll"]"#).await;
    bench.run_for(10.0).await;
    assert_eq!(bench.script.received().len(), 2);
    assert_eq!(bench.make(&poll), [second + 1]);
}

#[tokio::test(start_paused = true)]
async fn fact_1_2_narrowing_does_not_purge_what_is_queued() {
    let bench = Bench::idle(|_| Action::ok());
    bench.enqueue(&[1]);
    bench.set(&[("url", URL), ("allowed_updates", r#"["poll"]"#)]).await;
    bench.run_for(0.1).await;
    assert_eq!(bench.script.received().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn fact_5_three_kinds_come_only_when_listed() {
    let bench = Bench::idle(|_| Action::ok());
    for kind in Kind::public() {
        let made = bench.make(&Enqueue { kinds: vec![kind.name().to_owned()], ..Enqueue::default() });
        let by_request =
            matches!(kind, Kind::ChatMember | Kind::MessageReaction | Kind::MessageReactionCount);
        assert_eq!(made.is_empty(), by_request, "{}", kind.name());
    }
}
