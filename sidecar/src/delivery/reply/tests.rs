use telegram_webhook_sidecar_config::{DeliveryMode as RawMode, WebhookConfig};

use super::*;
use crate::{
    config::DeliveryMode,
    test_util::{policy, raw_config},
};

fn allowing(methods: &[&str]) -> ReplyMethods {
    let mut config: WebhookConfig = raw_config("a");
    config.delivery.mode = RawMode::Synchronous;
    config.delivery.reply_methods = methods.iter().map(|method| (*method).to_owned()).collect();
    let policy = policy(&[config]).load_full();
    let DeliveryMode::Synchronous { reply_methods } = &policy.webhooks()[0].delivery.mode else {
        panic!("as configured")
    };
    reply_methods.clone()
}

fn check(body: impl Into<Bytes>) -> Result<Reply, Withheld> {
    Reply::check(body.into(), &allowing(&["sendMessage", "answerCallbackQuery"]))
}

fn passes(body: impl Into<Bytes>) -> bool {
    let body = body.into();
    check(body.clone()).is_ok_and(|reply| reply.into_body() == body)
}

#[test]
fn it_is_known_why_an_answer_does_not_pass() {
    for (body, reason) in [
        ("{\"ok\":true}".to_owned(), Withheld::NoCall),
        (String::new(), Withheld::NoCall),
        (r#"{"method":"banChatMember"}"#.to_owned(), Withheld::NotAllowed),
        (" ".repeat(MAX_LENGTH + 1), Withheld::TooLong),
    ] {
        assert_eq!(check(body), Err(reason));
    }
    for (content_type, some, none) in [
        ("application/json", Ok(()), Err(Withheld::NoneAllowed)),
        ("text/plain", Err(Withheld::NotJson), Err(Withheld::NotJson)),
        // as aiogram answers
        ("multipart/form-data; boundary=webhookBoundary", Err(Withheld::Form), Err(Withheld::NoneAllowed)),
        ("application/x-www-form-urlencoded", Err(Withheld::Form), Err(Withheld::NoneAllowed)),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        assert_eq!(judge_head(&headers, &allowing(&["sendMessage"])), some, "{content_type}");
        assert_eq!(judge_head(&headers, &allowing(&[])), none, "{content_type}");
    }
    assert_eq!(judge_head(&HeaderMap::new(), &allowing(&[])), Err(Withheld::NotJson));
}

#[test]
fn calls_of_allowed_methods_pass() {
    for body in [
        r#"{"method":"sendMessage","chat_id":1,"text":"hi"}"#,
        r#"{"method":"SENDMESSAGE"}"#,
        " {\"chat_id\": 1, \"method\" : \"answerCallbackQuery\"} \n",
        // written otherwise, and the same to every reader
        r#"{"\u006dethod":"send\u004dessage"}"#,
        // that of something else
        r#"{"method":"sendMessage","reply_markup":{"method":"banChatMember"}}"#,
    ] {
        assert!(passes(body), "{body}");
    }
}

#[test]
fn whatever_else_a_crm_says_does_not_pass() {
    for body in [
        "",
        "ok",
        "{}",
        "[]",
        "null",
        r#""sendMessage""#,
        r#"[{"method":"sendMessage"}]"#,
        r#"{"method":"banChatMember"}"#,
        r#"{"method":"sendMessage "}"#,
        r#"{"method":null}"#,
        r#"{"method":["sendMessage"]}"#,
        r#"{"body":{"method":"sendMessage"}}"#,
        "method=sendMessage&chat_id=1",
        "--a\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\nsendMessage\r\n--a--",
    ] {
        assert!(!passes(body), "{body}");
    }
}

#[test]
fn nothing_passes_that_two_readers_may_read_differently() {
    for body in [
        &br#"{"method":"sendMessage","method":"banChatMember"}"#[..],
        br#"{"method":"sendMessage","method":"sendMessage"}"#,
        br#"{"method":"sendMessage","Method":"banChatMember"}"#,
        br#"{"METHOD":"sendMessage"}"#,
        br#"{"method":"sendMessage"," method":"banChatMember"}"#,
        br#"{"method":"sendMessage","m\u0065thod":"banChatMember"}"#,
        // Telegram keeps what comes before the fault
        br#"{"method":"sendMessage","text":}"#,
        br#"{"method":"sendMessage"}{"method":"banChatMember"}"#,
        br#"{"method":"sendMessage",}"#,
        b"{\"method\":\"sendMessage\xff\"}",
        b"{\"method\":\"sendMessage\",\"text\":\"\xff\"}",
        b"{\"method\":\"sendMessage\\u0000\"}",
        b"\xef\xbb\xbf{\"method\":\"sendMessage\"}",
    ] {
        assert!(!passes(body), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_answer_has_its_longest_length() {
    let of_length = |length: usize| {
        let rest = length - r#"{"method":"sendMessage","text":""}"#.len();
        format!(r#"{{"method":"sendMessage","text":"{}"}}"#, "a".repeat(rest))
    };
    assert!(passes(of_length(MAX_LENGTH)));
    assert!(!passes(of_length(MAX_LENGTH + 1)));
}

#[test]
fn only_json_by_its_head_is_looked_at() {
    for (values, expected) in [
        (&["application/json"][..], true),
        (&["Application/JSON; charset=utf-8"], true),
        (&[], false),
        (&["text/json"], false),
        (&["application/json-seq"], false),
        (&["application/x-www-form-urlencoded"], false),
        (&["multipart/form-data; boundary=application/json"], false),
        (&["application/json", "multipart/form-data; boundary=a"], false),
    ] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, value.parse().unwrap());
        }
        assert_eq!(is_json(&headers), expected, "{values:?}");
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(!is_json(&headers), "{values:?}");
    }
}
