use std::io::Cursor;

use telegram_webhook_sidecar_config as raw;

use super::*;
use crate::{
    config::{Findings, Place},
    test_util::{raw_config, write_webhook},
};

const MESSAGE: &str = r#"{"update_id":1,
  "message":{"chat":{"id":-5,"type":"supergroup"},"text":"a ] } \" \\"}}"#;
const POLL: &str = r#"{"update_id":2,"poll":{"question":"[{,"}}"#;

fn lines(input: impl AsRef<[u8]>) -> Vec<String> {
    let filter = Filter::parse(&raw::Filter::default(), &mut Findings::new(&Place::Folder("a".to_owned())));
    let mut output = Vec::new();
    let input = Cursor::new(input.as_ref());
    test(&filter, input, &mut output, TestError::Write).unwrap();
    String::from_utf8(output).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn updates_may_be_one_an_array_or_one_after_the_other() {
    let message = "1 message chat -5: forward";
    let poll = "2 poll: drop, filter.updateTypes";
    assert_eq!(lines(MESSAGE), [message, "1 updates: 1 forwarded, 0 dropped, 0 malformed"]);
    for input in [
        format!("{MESSAGE}\n{POLL}\n"),
        format!("\n{MESSAGE} {POLL}"),
        format!("{MESSAGE}{POLL}"),
        format!("[{MESSAGE},{POLL}]"),
        format!(" [\n{MESSAGE} ,\n{POLL}\n]\n"),
    ] {
        assert_eq!(
            lines(&input),
            [message, poll, "2 updates: 1 forwarded, 1 dropped, 0 malformed"],
            "{input}"
        );
    }
    assert_eq!(lines(""), ["0 updates: 0 forwarded, 0 dropped, 0 malformed"]);
    assert_eq!(lines("[]"), ["0 updates: 0 forwarded, 0 dropped, 0 malformed"]);
}

#[test]
fn what_is_malformed_takes_nothing_else_with_it() {
    let malformed = |number: u8, reason: &str| format!("number {number} is malformed: it {reason}");
    for broken in ["hello", "{\"update_id\":\"open\n", "{]"] {
        let lines = lines(format!("{broken}\n{POLL}"));
        assert_eq!(
            lines[..2],
            [malformed(1, "is not JSON"), "2 poll: drop, filter.updateTypes".to_owned()],
            "{broken}"
        );
    }
    let lines = lines(format!("[1,{POLL},{{}},\"SECRET\"]"));
    let wrong = "has a field of another type than documented, or out of range";
    let incomplete = "lacks update_id or another field that every such update has";
    assert_eq!(
        (&lines[0], &lines[2], &lines[3]),
        (&malformed(1, wrong), &malformed(3, incomplete), &malformed(4, wrong))
    );
}

#[test]
fn bytes_that_are_no_utf_8_are_taken_as_they_are() {
    let body = b"{\"update_id\":1,\"callback_query\":{\"from\":{\"id\":5},\"data\":\"\xff\"}}";
    assert_eq!(lines(body)[0], "1 callback_query: forward");
}

#[test]
fn an_update_that_is_too_large_is_skipped() {
    let large = format!(r#"{{"update_id":1,"poll":{{"question":"{}"}}}}"#, "x".repeat(1 << 20));
    let lines = lines(format!("{large}\n{POLL}"));
    assert_eq!(lines[0], "number 1 is malformed: it is larger than any update");
    assert_eq!(lines[1], "2 poll: drop, filter.updateTypes");
}

#[test]
fn the_webhook_need_not_be_named_where_it_is_the_only_one() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::Folder(dir.path().to_owned());
    assert!(matches!(choose(&source, None), Err(ChooseError::Config(_))));
    write_webhook(dir.path(), "a", &raw_config("a"));
    assert_eq!(&*choose(&source, None).unwrap().name, "crm/a");
    write_webhook(dir.path(), "b", &raw_config("b"));
    assert_eq!(&*choose(&source, Some("crm/b")).unwrap().name, "crm/b");
    let several = choose(&source, None).unwrap_err().to_string();
    assert!(several.contains("--webhook: crm/a, crm/b"), "{several}");
    let unknown = choose(&source, Some("crm/c")).unwrap_err().to_string();
    assert!(unknown.contains("crm/c; there are: crm/a, crm/b"), "{unknown}");
}
