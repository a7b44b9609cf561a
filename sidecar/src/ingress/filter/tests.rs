use telegram_webhook_sidecar_config::{self as raw, ChatType, Content, IdList};

use super::*;
use crate::{
    config::{Findings, Place},
    ingress::update,
};

mod expressions;

/// No condition at all.
fn any() -> raw::Filter {
    raw::Filter { update_types: Vec::new(), chat_types: Vec::new(), ..raw::Filter::default() }
}

fn problems(filter: &raw::Filter) -> Vec<String> {
    let place = Place::Folder("a".to_owned());
    let mut findings = Findings::new(&place);
    Filter::parse(filter, &mut findings);
    findings.into_problems().iter().map(ToString::to_string).collect()
}

fn verdict(filter: &raw::Filter, body: impl AsRef<[u8]>) -> Verdict {
    let body = body.as_ref();
    let place = Place::Folder("a".to_owned());
    let mut findings = Findings::new(&place);
    let filter = Filter::parse(filter, &mut findings);
    let problems = findings.into_problems();
    assert!(problems.is_empty(), "{problems:?}");
    let update = update::parse(body);
    filter.judge(&update.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(body))), body)
}

/// A message in a chat of this type, with more fields.
fn message(chat_type: &str, fields: &str) -> String {
    format!(
        r#"{{"update_id":1,"message":{{"from":{{"id":5}},"chat":{{"id":-3,"type":"{chat_type}"}}{fields}}}}}"#
    )
}

const CALLBACK: &str = r#"{"update_id":1,"callback_query":{"from":{"id":5},"data":"d"}}"#;
const POLL: &str = r#"{"update_id":1,"poll":{"question":"?"}}"#;
const NEW: &str = r#"{"update_id":1,"telepathy":{}}"#;

fn strings<const N: usize>(strings: [&str; N]) -> Vec<String> {
    strings.map(str::to_owned).to_vec()
}

#[test]
fn the_default_is_what_a_support_team_needs() {
    let default = raw::Filter::default();
    for fields in [r#","text":"a""#, r#","photo":[]"#, r#","contact":{}"#, r#","voice":{}"#] {
        for chat_type in ["private", "supergroup"] {
            assert_eq!(verdict(&default, message(chat_type, fields)), Verdict::Forward);
        }
    }
    assert_eq!(verdict(&default, CALLBACK), Verdict::Forward);
    for chat_type in ["group", "channel", "new"] {
        assert_eq!(verdict(&default, message(chat_type, "")), Verdict::Drop(Rule::ChatType));
    }
    let post = message("channel", "").replace("message", "channel_post");
    for body in [&post, POLL, NEW] {
        assert_eq!(verdict(&default, body), Verdict::Drop(Rule::UpdateType));
    }
}

#[test]
fn without_conditions_everything_passes() {
    for body in [message("new", ""), CALLBACK.into(), POLL.into(), NEW.into()] {
        assert_eq!(verdict(&any(), body), Verdict::Forward);
    }
}

#[test]
fn ids_are_let_through_when_allowed_or_not_denied() {
    let in_chat = message("private", "");
    for (allow, deny, passes) in [
        (vec![], vec![], true),
        (vec![-3, 9, -7], vec![], true),
        (vec![9, -7], vec![], false),
        (vec![], vec![9, -7], true),
        (vec![], vec![9, -3, -7], false),
        (vec![-3], vec![9], true),
    ] {
        let filter = raw::Filter { chats: IdList { allow, deny }, ..any() };
        let expected = if passes { Verdict::Forward } else { Verdict::Drop(Rule::Chat) };
        assert_eq!(verdict(&filter, &in_chat), expected, "{filter:?}");
        assert_eq!(verdict(&filter, CALLBACK), Verdict::Forward, "no chat");
    }
    let filter = raw::Filter { users: IdList { allow: vec![6], deny: vec![] }, ..any() };
    assert_eq!(verdict(&filter, &in_chat), Verdict::Drop(Rule::User));
    assert_eq!(verdict(&filter, CALLBACK), Verdict::Drop(Rule::User));
    assert_eq!(verdict(&filter, POLL), Verdict::Forward, "no user");
}

#[test]
fn topics_count_in_forums_only() {
    let filter = raw::Filter { topics: vec![4, 1], ..any() };
    let topic =
        |id: u8| message("supergroup", &format!(r#","message_thread_id":{id},"is_topic_message":true"#));
    assert_eq!(verdict(&filter, topic(4)), Verdict::Forward);
    assert_eq!(verdict(&filter, topic(5)), Verdict::Drop(Rule::Topic));
    assert_eq!(verdict(&filter, message("supergroup", r#","message_thread_id":5"#)), Verdict::Forward);
}

#[test]
fn any_content_that_is_listed_is_enough() {
    let filter = raw::Filter { content: vec![Content::Photo, Content::Text], ..any() };
    for (fields, passes) in [
        (r#","photo":[]"#, true),
        (r#","photo":[],"dice":{},"voice":{}"#, true),
        (r#","text":"a""#, true),
        (r#","voice":{}"#, false),
        (r#","text":"/a","entities":[{"type":"bot_command","offset":0,"length":2}]"#, false),
        ("", false),
    ] {
        let expected = if passes { Verdict::Forward } else { Verdict::Drop(Rule::Content) };
        assert_eq!(verdict(&filter, message("private", fields)), expected, "{fields}");
    }
    assert_eq!(verdict(&filter, CALLBACK), Verdict::Forward, "no message");
}

#[test]
fn any_command_that_is_listed_is_enough() {
    let filter = raw::Filter { commands: strings(["start", "help"]), ..any() };
    let text = |text: &str| {
        let entities: Vec<_> = text
            .match_indices('/')
            .map(|(offset, _)| format!(r#"{{"type":"bot_command","offset":{offset},"length":5}}"#))
            .collect();
        message("private", &format!(r#","text":"{text}","entities":[{}]"#, entities.join(",")))
    };
    assert_eq!(verdict(&filter, text("/help")), Verdict::Forward);
    assert_eq!(verdict(&filter, text("/HELP")), Verdict::Forward);
    assert_eq!(verdict(&filter, text("/kick or /help")), Verdict::Forward);
    assert_eq!(verdict(&filter, text("/kick")), Verdict::Drop(Rule::Command));
    assert_eq!(verdict(&filter, text("no command")), Verdict::Forward);
    assert_eq!(verdict(&filter, CALLBACK), Verdict::Forward, "no message");
}

#[test]
fn a_chat_inside_of_a_message_changes_nothing() {
    let nested = r#","reply_to_message":{"chat":{"id":7,"type":"private"},"from":{"id":8}},"sender_chat":{"id":7,"type":"channel"}"#;
    let only = |allow| raw::Filter { chats: IdList { allow: vec![allow], deny: vec![] }, ..any() };
    assert_eq!(verdict(&only(-3), message("group", nested)), Verdict::Forward);
    assert_eq!(verdict(&only(7), message("group", nested)), Verdict::Drop(Rule::Chat));
    let private = raw::Filter { chat_types: vec![ChatType::Private], ..any() };
    assert_eq!(verdict(&private, message("group", nested)), Verdict::Drop(Rule::ChatType));
}

#[test]
fn each_mistake_is_named_with_its_field() {
    let known = "message, edited_message";
    for (field, reason, filter) in [
        ("updateTypes[1]", known, raw::Filter { update_types: strings(["poll", "mesage"]), ..any() }),
        ("updateTypes[1]", "twice", raw::Filter { update_types: strings(["poll", "poll"]), ..any() }),
        ("chatTypes[1]", "twice", raw::Filter { chat_types: vec![ChatType::Group; 2], ..any() }),
        (
            "chats.allow[1]",
            "twice",
            raw::Filter { chats: IdList { allow: vec![1, 1], deny: vec![] }, ..any() },
        ),
        (
            "chats.deny[1]",
            "allowed",
            raw::Filter { chats: IdList { allow: vec![1], deny: vec![2, 1] }, ..any() },
        ),
        (
            "users.deny[0]",
            "not be 0",
            raw::Filter { users: IdList { allow: vec![], deny: vec![0] }, ..any() },
        ),
        (
            "users.allow",
            "at most 1000",
            raw::Filter { users: IdList { allow: (1..=1001).collect(), deny: vec![] }, ..any() },
        ),
        ("topics[0]", "above 0", raw::Filter { topics: vec![0], ..any() }),
        ("content[1]", "twice", raw::Filter { content: vec![Content::Text; 2], ..any() }),
        ("commands[0]", "without the slash", raw::Filter { commands: strings(["/start"]), ..any() }),
        ("commands[0]", "1 to 32", raw::Filter { commands: strings([""]), ..any() }),
        ("commands[0]", "a-z", raw::Filter { commands: strings(["Start"]), ..any() }),
        (
            "expressions",
            "at most 16",
            raw::Filter { expressions: (0..17).map(|i| format!("{i} == 0")).collect(), ..any() },
        ),
        (
            "expressions[1]",
            "unknown variable",
            raw::Filter { expressions: strings(["true", "user == 1"]), ..any() },
        ),
    ] {
        let problems = problems(&filter);
        let [problem] = problems.as_slice() else { panic!("{field}: one problem expected: {problems:?}") };
        assert!(problem.starts_with(&format!("a/config.json: filter.{field}: ")), "{problem}");
        assert!(problem.contains(reason), "{problem}");
    }
}
