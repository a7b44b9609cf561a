//! The table "What each answer did": the first try of an update gets that answer, all later requests a 200.

use telegram_webhook_tests::telegram::{record::Outcome, reply::Reply};

use crate::{
    bench::{Bench, assert_near},
    script::{Action, Received},
};

const CHAT: i64 = -5;

/// What an answer to the first try led to.
struct Effect {
    tries: Vec<Received>,
    last_error: Option<String>,
    replies: Vec<Reply>,
    gaps: Vec<f64>,
}

async fn effect_of(answer: Action) -> Effect {
    let bench = Bench::start(move |request| {
        if request.chat == CHAT && request.attempt == 1 { answer.clone() } else { Action::ok() }
    })
    .await;
    bench.warm_up().await;
    let id = bench.enqueue(&[CHAT])[0];
    bench.run_for(1.5).await;
    assert_eq!(bench.delivery(id).outcome, Outcome::Delivered);
    Effect {
        tries: bench.requests(id),
        last_error: bench.last_error().await,
        replies: bench.bot.lock().record.replies.clone(),
        gaps: bench.gaps(id),
    }
}

async fn assert_done(answer: Action) -> Vec<Reply> {
    let effect = effect_of(answer).await;
    assert_eq!(effect.tries.len(), 1, "done at the first try");
    assert_eq!(effect.last_error, None);
    effect.replies
}

async fn assert_executed(answer: Action, method: &str) {
    let replies = assert_done(answer).await;
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].method, method);
    assert!(replies[0].executed);
}

/// The failure with its text; resent at once.
async fn assert_failure(answer: Action, error: &str) -> Effect {
    let effect = effect_of(answer).await;
    assert_eq!(effect.last_error.as_deref(), Some(error));
    assert_eq!(effect.tries.len(), 2);
    assert_near(&effect.gaps, &[0.0]);
    effect
}

#[tokio::test(start_paused = true)]
async fn observed_row_1_a_json_method_in_a_200_is_executed_as_the_bot() {
    let body = r#"{"method":"sendMessage","chat_id":5,"text":"x"}"#;
    let replies = assert_done(Action::body("application/json", body)).await;
    assert_eq!((replies[0].method.as_str(), replies[0].executed), ("sendmessage", true));
    assert_eq!(replies[0].arguments["chat_id"], "5");
}

#[tokio::test(start_paused = true)]
async fn observed_row_2_methods_that_touch_the_webhook_or_read_are_ignored() {
    for body in [r#"{"method":"setWebhook","url":""}"#, r#"{"method":"getMe"}"#] {
        let replies = assert_done(Action::body("application/json", body)).await;
        assert!(!replies[0].executed, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn observed_row_3_a_text_plain_body_is_not_parsed() {
    let body = r#"{"method":"sendMessage","chat_id":5}"#;
    assert!(assert_done(Action::body("text/plain", body)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn observed_row_4_a_brotli_body_is_a_failure_and_drops_the_connection() {
    assert_unsupported_encoding("br").await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_5_an_identity_body_is_the_same_failure() {
    assert_unsupported_encoding("identity").await;
}

async fn assert_unsupported_encoding(encoding: &str) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: 2\r\n\r\nok");
    let effect =
        assert_failure(Action::raw(&answer), "Unsupported Media Type: unsupported content-encoding").await;
    assert_ne!(effect.tries[0].connection, effect.tries[1].connection);
}

#[tokio::test(start_paused = true)]
async fn observed_row_6_a_204_without_length_is_done() {
    assert_done(Action::raw("HTTP/1.1 204 No Content\r\n\r\n")).await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_7_a_redirect_is_a_failure() {
    assert_failure(
        Action::raw("HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"),
        "Wrong response from the webhook: 302 Found",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_8_a_100_continue_before_the_200_is_the_final_answer() {
    assert_failure(
        Action::raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        "Wrong response from the webhook: 100 Continue",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_9_a_410_is_retried_like_any_other_failure() {
    assert_failure(Action::status("410 Gone"), "Wrong response from the webhook: 410 Gone").await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_10_a_202_is_done() {
    assert_done(Action::status("202 Accepted")).await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_11_a_method_in_a_form_is_executed() {
    let answer = Action::body("application/x-www-form-urlencoded", "method=leaveChat&chat_id=5");
    assert_executed(answer, "leavechat").await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_12_json_cut_short_after_the_method_is_executed_all_the_same() {
    assert_executed(Action::body("application/json", r#"{"method":"deleteMessage""#), "deletemessage").await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_13_two_thousand_open_brackets_are_done_and_not_executed() {
    let body = "[".repeat(2000);
    assert!(assert_done(Action::body("application/json", &body)).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn observed_row_14_a_json_string_of_1_1_megabytes_is_a_failure() {
    let body = format!("\"{}\"", "x".repeat(1_100_000));
    assert_failure(Action::body("application/json", &body), "Request Entity Too Large: too many parameters")
        .await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_15_a_json_method_in_chunks_is_executed() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
                  8\r\n{\"method\r\n11\r\n\":\"banChatMember\"\r\n1\r\n}\r\n0\r\n\r\n";
    assert_executed(Action::raw(answer), "banchatmember").await;
}

#[tokio::test(start_paused = true)]
async fn observed_row_16_a_200_without_length_is_done_and_the_connection_kept() {
    let connections = connections_for_ten_updates("HTTP/1.1 200 OK\r\n\r\n").await;
    assert_eq!(connections, 1);
}

#[tokio::test(start_paused = true)]
async fn observed_row_17_an_http_1_0_answer_is_done_and_the_connection_closed() {
    let connections = connections_for_ten_updates("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(connections, 10);
}

#[tokio::test(start_paused = true)]
async fn observed_row_18_connection_close_takes_ten_connections_for_ten_updates() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(connections_for_ten_updates(answer).await, 10);
}

/// Ten updates of one chat, all answered so.
async fn connections_for_ten_updates(answer: &'static str) -> usize {
    let bench = Bench::start(move |_| Action::raw(answer)).await;
    let ids = bench.enqueue(&[CHAT; 10]);
    bench.run_for(9.0).await;
    let mut used: Vec<usize> = bench.script.received().iter().map(|request| request.connection).collect();
    assert_eq!(used.len(), ids.len(), "each is done at the first try");
    used.dedup();
    used.len()
}

#[tokio::test(start_paused = true)]
async fn observed_row_19_code_and_reason_phrase_are_shown_as_we_wrote_them() {
    for status in ["401 Unauthorized", "429 Too Many Requests", "500 Oh No", "503 Back soon"] {
        let error = format!("Wrong response from the webhook: {status}");
        assert_failure(Action::status(status), &error).await;
    }
}

#[tokio::test(start_paused = true)]
async fn observed_row_19_a_429_with_retry_after_1_comes_again_after_a_second() {
    let effect = effect_of(Action::retry_after("429 Too Many Requests", "1")).await;
    assert_near(&effect.gaps, &[1.0]);
}

#[tokio::test(start_paused = true)]
async fn fact_3_6_answers_that_cannot_be_read_are_failures_even_with_status_200() {
    let long_header = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(300_000));
    let cases = [
        ("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP Version Not Supported"),
        ("rubbish\r\n\r\n", "Not Implemented"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "Unimplemented: unsupported transfer-encoding",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n",
            "Request Entity Too Large: content length is 4294967295",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: multipart/form-data\r\nContent-Length: 2\r\n\r\nxx",
            "Bad Request: boundary not found",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n000000001\r\nx\r\n",
            "Bad Request: Too long length in chunked",
        ),
        (long_header.as_str(), "Request Header Fields Too Large: total headers size exceeded"),
    ];
    for (answer, error) in cases {
        assert_failure(Action::raw(answer), error).await;
    }
}

#[tokio::test(start_paused = true)]
async fn fact_3_6_an_encoding_without_a_body_and_large_bodies_of_other_types_are_fine() {
    assert_done(Action::raw("HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 0\r\n\r\n")).await;
    assert_done(Action::body("text/html", &"x".repeat(2_000_000))).await;
}

#[tokio::test(start_paused = true)]
async fn fact_3_7_a_method_in_a_multipart_answer_is_executed() {
    let body = "--b\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nsendMessage\r\n--b--\r\n";
    assert_executed(Action::body("multipart/form-data; boundary=b", body), "sendmessage").await;
}
