use super::*;

mod message;
mod oracle;

/// What is read of an update of this kind.
fn facts(kind: &str, content: &str) -> Facts<'static> {
    parsed(&format!("{{\"update_id\":7,\n\"{kind}\":{content}}}")).facts
}

fn parsed(text: &str) -> Update<'static> {
    // some words for as long as the tests run, so that each needs no owner
    match parse(text.to_owned().leak().as_bytes()) {
        Ok(update) => update,
        Err(malformed) => panic!("{text}: {malformed}"),
    }
}

fn refused(text: &str) -> Malformed {
    parse(text.as_bytes()).map(|_| text).unwrap_err()
}

/// A message with fields of its own behind those that each has.
fn message(fields: &str) -> String {
    format!(r#"{{"message_id":1,"from":{{"id":5}},"chat":{{"id":-3,"type":"supergroup"}},"date":9{fields}}}"#)
}

#[test]
fn everything_that_a_message_tells_is_read() {
    let update = parsed(&format!(
        r#"{{"update_id":2147483647,"message":{}}}"#,
        message(r#","text":"\u041f \ud83d\ude00""#)
    ));
    assert_eq!(update.update_id, 2_147_483_647);
    assert_eq!(update.kind, NamedKind::Known(Kind::Message));
    let expected = Facts {
        chat: Some(-3),
        chat_type: Some(ChatKind::Known(ChatType::Supergroup)),
        user: Some(5),
        text: update.facts.text,
        content: Contents::from_iter([telegram_webhook_sidecar_config::Content::Text]),
        date: Some(9),
        ..Facts::default()
    };
    assert_eq!(update.facts, expected);
    assert_eq!(update.facts.text().as_deref(), Some("П 😀"));
}

#[test]
fn an_edited_message_is_of_when_it_was_edited() {
    let content = message(r#","edit_date":12"#);
    assert_eq!(facts("edited_message", &content).date, Some(12));
    assert_eq!(facts("message", &content).date, Some(9));
}

#[test]
fn chats_and_users_inside_of_others_are_not_read() {
    let nested = r#","reply_to_message":{"chat":{"id":1,"type":"private"},"from":{"id":2},"text":"x","message_thread_id":4,
        "is_topic_message":true,"photo":[]},"forward_from_chat":{"id":3,"type":"channel"},"sender_chat":{"id":4},
        "external_reply":{"chat":"of another type"},"new_chat_members":[{"id":6}],"forum":{"is_forum":true}"#;
    let facts = facts("message", &message(nested));
    assert_eq!((facts.chat, facts.user, facts.topic, facts.text()), (Some(-3), Some(5), None, None));
    assert!(facts.content.holds(telegram_webhook_sidecar_config::Content::Other));
}

#[test]
fn a_post_is_its_channel_s_unless_it_names_a_user() {
    let post =
        |from: &str| format!(r#"{{{from}"sender_chat":{{"id":-8}},"chat":{{"id":-8,"type":"channel"}}}}"#);
    assert_eq!(facts("channel_post", &post("")).user, Some(-8));
    assert_eq!(facts("edited_channel_post", &post(r#""from":{"id":5},"#)).user, Some(5));
    assert_eq!(facts("message", &post("")).user, None);
}

#[test]
fn a_button_is_of_the_chat_of_its_message_and_of_who_pressed_it() {
    let read = facts(
        "callback_query",
        r#"{"from":{"id":5},"message":{"from":{"id":6},"chat":{"id":5,"type":"private"},"date":0,"text":"t"},"data":"d"}"#,
    );
    assert_eq!(
        (read.chat, read.user, read.text().as_deref(), read.date),
        (Some(5), Some(5), Some("d"), Some(0))
    );
    assert!(read.content.is_empty());
    let inline =
        facts("callback_query", r#"{"from":{"id":5},"inline_message_id":"x","game_short_name":"g"}"#);
    assert_eq!((inline.chat, inline.chat_type, inline.text().as_deref()), (None, None, Some("g")));
}

#[test]
fn a_genuine_body_need_not_be_utf_8() {
    let body = b"{\"update_id\":1,\n\"callback_query\":{\"from\":{\"id\":5},\"data\":\"a\xff\xfe\"}}";
    let update = parse(body).unwrap();
    assert_eq!(update.facts.text().as_deref(), Some("a\u{fffd}\u{fffd}"));
    assert_eq!(parse(b"{\"update_id\":1,\"poll\xff\":{}}").unwrap().kind.label(), "unknown");
    assert_eq!(parse(b"\xff{\"update_id\":1,\"poll\":{}}").unwrap_err(), Malformed::NotJson);
}

#[test]
fn a_kind_that_nobody_knows_yet_is_kept() {
    let update = parsed(r#"{"update_id":1,"telepathy":{"chat":{"id":"of another type"}},"mind":1}"#);
    assert_eq!(update.kind, NamedKind::Unknown);
    assert_eq!(update.facts, Facts::default());
    let beside = parsed(r#"{"telepathy":1,"update_id":1,"poll":{"question":"?"},"telepathy":[]}"#);
    assert_eq!(beside.kind, NamedKind::Known(Kind::Poll));
}

#[test]
fn what_is_not_as_documented_is_malformed() {
    use Malformed::{DuplicateField, Incomplete, NoKind, NotJson, SeveralKinds, WrongType};
    let of_message = |content: &str| format!(r#"{{"update_id":1,"message":{content}}}"#);
    for (text, expected) in [
        ("", NotJson),
        ("no", NotJson),
        ("{\"update_id\":1,\"poll\":{}", NotJson),
        ("{\"update_id\":1,\"poll\":{}}{}", NotJson),
        ("{'update_id':1}", NotJson),
        ("[]", WrongType),
        ("[1,{}]", WrongType),
        ("null", WrongType),
        ("{}", Incomplete),
        (r#"{"poll":{}}"#, Incomplete),
        (r#"{"update_id":1}"#, NoKind),
        (r#"{"update_id":"1","poll":{}}"#, WrongType),
        (r#"{"update_id":1.0,"poll":{}}"#, WrongType),
        (r#"{"update_id":-1,"poll":{}}"#, WrongType),
        (r#"{"update_id":2147483648,"poll":{}}"#, WrongType),
        (r#"{"update_id":99999999999999999999,"poll":{}}"#, WrongType),
        (r#"{"update_id":1,"poll":{},"update_id":1}"#, DuplicateField),
        (r#"{"update_id":1,"poll":{},"message":{"chat":{"id":1,"type":"private"}}}"#, SeveralKinds),
        (r#"{"update_id":1,"poll":{},"poll":{}}"#, SeveralKinds),
        (r#"{"update_id":1,"poll":null}"#, WrongType),
        (r#"{"update_id":1,"poll":[null]}"#, WrongType),
        (&of_message("{}"), Incomplete),
        (&of_message(r#"{"chat":{"id":1}}"#), Incomplete),
        (&of_message(r#"{"chat":[1,"private",null]}"#), WrongType),
        (&of_message(r#"{"chat":{"id":9223372036854775808,"type":"private"}}"#), WrongType),
        (&of_message(r#"{"chat":{"id":1,"type":"private","id":2}}"#), DuplicateField),
        (
            &of_message(r#"{"chat":{"id":1,"type":"private"},"\u0063hat":{"id":2,"type":"private"}}"#),
            DuplicateField,
        ),
        (&of_message(r#"{"chat":{"id":1,"type":"private"},"text":7}"#), WrongType),
        (&of_message(r#"{"chat":{"id":1,"type":"private"},"text":"\ud800"}"#), NotJson),
        (
            &of_message(
                r#"{"chat":{"id":1,"type":"private"},"entities":[{"type":"bot_command","offset":-1,"length":1}]}"#,
            ),
            WrongType,
        ),
        (&of_message(r#"{"chat":{"id":1,"type":"private"},"photo":[],"photo":[]}"#), DuplicateField),
        (r#"{"update_id":1,"callback_query":{"data":"d"}}"#, Incomplete),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn reasons_hold_nothing_of_the_update() {
    for text in [r#"{"update_id":"SECRET"}"#, r#"{"update_id":1,"message":{"chat":"SECRET"}}"#, "SECRET"] {
        let malformed = refused(text);
        assert!(!format!("{malformed} {malformed:?}").contains("SECRET"));
    }
}

/// On the smallest stack that a thread of ours has.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 << 10).spawn(test).unwrap().join().unwrap();
}

#[test]
fn what_is_not_read_may_be_nested_without_end() {
    on_a_small_stack(|| {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
            let read = facts("message", &message(&format!(",\"reply_to_message\":{deep},\"photo\":{deep}")));
            assert_eq!(read.chat, Some(-3));
            assert_eq!(parsed(&format!("{{\"update_id\":1,\"new\":{deep}}}")).kind.label(), "unknown");
        }
    });
}

#[test]
fn what_is_read_can_not_be_nested() {
    on_a_small_stack(|| {
        for field in ["chat", "from", "entities", "text"] {
            let deep = "[".repeat(100_000);
            assert_eq!(
                refused(&format!("{{\"update_id\":1,\"message\":{{\"{field}\":{deep}")),
                Malformed::WrongType
            );
        }
    });
}

#[test]
fn any_change_of_a_byte_leads_to_an_answer() {
    let body = format!(
        r#"{{"update_id":1,"message":{}}}"#,
        message(r#","text":"/a\u00e9","entities":[{"type":"bot_command","offset":0,"length":2}]"#)
    );
    for position in 0..body.len() {
        for byte in [0, b'"', b'\\', b'{', b']', b'9', b'-', 0xff] {
            let mut body = body.clone().into_bytes();
            body[position] = byte;
            drop(parse(&body));
            drop(parse(body.get(..position).unwrap()));
        }
    }
}
