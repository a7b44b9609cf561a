//! Lanes and the request (sections 3.1 and 3.5).

use telegram_webhook_tests::telegram::{
    control::{Enqueue, RawUpdate},
    kinds::Kind,
    record::Outcome,
};

use crate::{
    bench::{Bench, HOST},
    script::Action,
};

/// Whether updates of these two kinds of one chat and user wait for each other.
async fn share_a_lane(first: &str, second: &str) -> bool {
    let bench = Bench::start(|request| {
        if request.attempt == 1 && String::from_utf8_lossy(&request.body).contains("blocker") {
            Action::Silence
        } else {
            Action::ok()
        }
    })
    .await;
    let allowed = format!("[\"{first}\",\"{second}\"]");
    bench.set(&[("url", "https://hook.example.com/other"), ("allowed_updates", &allowed)]).await;
    // a success, so that a second connection may be opened
    let raw = |kind: &str| Enqueue {
        kinds: vec![kind.to_owned()],
        text: "second".to_owned(),
        chats: vec![-9],
        user: Some(99),
        ..Enqueue::default()
    };
    let warm = bench.make(&raw(first))[0];
    bench.run_for(0.1).await;
    assert_eq!(bench.delivery(warm).outcome, Outcome::Delivered);
    bench.make(&Enqueue { text: "blocker".to_owned(), ..raw(first) });
    let waiting = bench.make(&raw(second))[0];
    bench.run_for(1.0).await;
    bench.delivery(waiting).outcome == Outcome::Pending
}

#[tokio::test(start_paused = true)]
async fn fact_3_5_a_chats_messages_edits_and_posts_share_a_lane() {
    for second in ["message", "edited_message", "channel_post", "edited_channel_post"] {
        assert!(share_a_lane("message", second).await, "{second}");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_3_5_families_of_kinds_dont_wait_for_each_other() {
    for second in ["callback_query", "my_chat_member", "chat_boost", "business_message", "message_reaction"] {
        assert!(!share_a_lane("message", second).await, "{second}");
    }
}

#[tokio::test(start_paused = true)]
async fn fact_3_5_a_users_callbacks_are_serial_across_chats() {
    assert!(share_a_lane("callback_query", "callback_query").await);
    assert!(share_a_lane("shipping_query", "pre_checkout_query").await);
    assert!(share_a_lane("chat_join_request", "chat_member").await);
}

#[test]
fn fact_3_5_lanes_are_the_owner_plus_the_family_shifted_by_33() {
    assert_eq!(Kind::Message.lane(-5, 9, 1), -5);
    assert_eq!(Kind::InlineQuery.lane(-5, 9, 1), 9 + (1 << 33));
    assert_eq!(Kind::CallbackQuery.lane(-5, 9, 1), 9 + (3 << 33));
    assert_eq!(Kind::BusinessConnection.lane(-5, 9, 1), 9 + (10 << 33));
    assert_eq!(Kind::ManagedBot.lane(-5, 9, 1), 9 + (13 << 33));
    assert_eq!(Kind::Poll.lane(-5, 9, 1), 1);
}

#[test]
fn fact_3_5_lives_are_30_150_600_seconds_or_a_day() {
    for kind in Kind::public() {
        let expected = match kind {
            Kind::InlineQuery => 30,
            Kind::ChosenInlineResult => 600,
            Kind::CallbackQuery | Kind::ShippingQuery | Kind::PreCheckoutQuery => 150,
            _ => 86_400,
        };
        assert_eq!(kind.life(), expected, "{}", kind.name());
    }
}

#[tokio::test(start_paused = true)]
async fn fact_3_5_updates_without_a_lane_never_wait_for_each_other() {
    let bench = Bench::start(|request| if request.chat == 77 { Action::ok() } else { Action::Silence }).await;
    bench.warm_up().await;
    bench.make(&Enqueue {
        count: 3,
        raw: Some(RawUpdate {
            kind: "something_new".to_owned(),
            value: "{}".to_owned(),
            value_hex: None,
            lane: 0,
            life_seconds: 100,
        }),
        ..Enqueue::default()
    });
    bench.run_for(1.0).await;
    assert_eq!(bench.script.received().len(), 4, "all three in flight");
}

#[tokio::test(start_paused = true)]
async fn fact_0_6_one_update_of_a_chat_is_in_flight_and_they_arrive_in_order() {
    let bench = Bench::start(|_| Action::ok().after(0.2)).await;
    bench.warm_up_slowly().await;
    let ids = bench.enqueue(&[-1, -2, -1, -2, -1]);
    bench.run_for(3.0).await;
    for chat in [-1, -2] {
        let times: Vec<_> = bench
            .script
            .received()
            .into_iter()
            .filter(|request| request.chat == chat)
            .map(|request| (request.update_id, request.at))
            .collect();
        assert!(
            times.windows(2).all(|pair| pair[0].0 < pair[1].0 && (pair[1].1 - pair[0].1).as_millis() >= 200)
        );
    }
    assert!(ids.iter().all(|id| bench.requests(*id).len() == 1));
}

#[tokio::test(start_paused = true)]
async fn fact_3_1_the_body_is_the_same_bytes_at_every_try() {
    let bench = Bench::start(|request| {
        if request.attempt < 4 { Action::status("500 Internal Server Error") } else { Action::ok() }
    })
    .await;
    let id = bench.enqueue(&[-1])[0];
    bench.run_for(10.0).await;
    let requests = bench.requests(id);
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
}

#[tokio::test(start_paused = true)]
async fn fact_3_1_the_update_id_is_first_then_a_newline_and_one_kind_in_ascii() {
    let bench = Bench::start(|_| Action::ok()).await;
    let id = bench.make(&Enqueue { text: "Привет 👋".to_owned(), ..Enqueue::default() })[0];
    bench.run_for(0.1).await;
    let body = String::from_utf8(bench.requests(id)[0].body.clone()).unwrap();
    assert!(body.starts_with(&format!("{{\"update_id\":{id},\n\"message\":{{\"message_id\":")), "{body}");
    assert!(body.is_ascii());
    assert!(body.contains(r"\u041f\u0440\u0438\u0432\u0435\u0442 \ud83d\udc4b"), "{body}");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["message"]["text"], "Привет 👋");
    assert_eq!(json.as_object().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn fact_3_1_a_genuine_body_may_be_invalid_utf_8() {
    let bench = Bench::start(|_| Action::ok()).await;
    bench.make(&Enqueue {
        raw: Some(RawUpdate {
            kind: "callback_query".to_owned(),
            value: String::new(),
            value_hex: Some(hex::encode(b"{\"data\":\"\xff\xfe\"}")),
            lane: 5,
            life_seconds: 100,
        }),
        ..Enqueue::default()
    });
    bench.run_for(0.1).await;
    let body = bench.script.received()[0].body.clone();
    assert!(body.ends_with(b"\"callback_query\":{\"data\":\"\xff\xfe\"}}"));
}

#[tokio::test(start_paused = true)]
async fn fact_3_1_userinfo_becomes_basic_authorization_and_the_port_stands_in_host() {
    let bench = Bench::idle(|_| Action::ok());
    let url = format!("https://user:pass@{HOST}:8443/a?b=c");
    bench.set(&[("url", &url), ("secret_token", "s3cret")]).await;
    bench.enqueue(&[-1]);
    bench.run_for(0.1).await;
    let request = bench.script.received()[0].clone();
    let expected = format!(
        "POST /a?b=c HTTP/1.1\r\nHost: {HOST}:8443\r\nAuthorization: Basic dXNlcjpwYXNz\r\n\
         X-Telegram-Bot-Api-Secret-Token: s3cret\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: keep-alive\r\nAccept-Encoding: gzip, deflate",
        request.body.len()
    );
    assert_eq!(request.head, expected);
}

#[tokio::test(start_paused = true)]
async fn fact_3_1_without_a_secret_the_header_is_not_sent() {
    let bench = Bench::start(|_| Action::ok()).await;
    bench.enqueue(&[-1]);
    bench.run_for(0.1).await;
    let head = bench.script.received()[0].head.clone();
    assert!(!head.contains("X-Telegram"), "{head}");
    assert!(head.contains(&format!("\r\nHost: {HOST}\r\n")), "no port where it is the scheme's: {head}");
}

#[tokio::test(start_paused = true)]
async fn fact_3_5_a_loaded_update_is_not_checked_for_expiry_before_it_is_sent() {
    // a callback waits behind another of the same user that fails for longer than both live
    let bench = Bench::start(|request| {
        if request.attempt == 1 && request.connection == 1 { Action::Silence } else { Action::ok() }
    })
    .await;
    let ids = bench.make(&Enqueue {
        count: 2,
        kinds: vec!["callback_query".to_owned()],
        life_seconds: Some(30),
        ..Enqueue::default()
    });
    bench.run_for(100.0).await;
    assert_eq!(bench.delivery(ids[0]).outcome, Outcome::Dropped, "failed after its life");
    assert_eq!(bench.delivery(ids[1]).outcome, Outcome::Delivered, "sent after its life");
}
