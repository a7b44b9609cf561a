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
        format!("{{\"ok\":true,\"result\":[{MESSAGE},{POLL}]}}"),
        format!("{{\n \"ok\": true,\n \"result\": [\n{MESSAGE}, {POLL} ]\n}}\n"),
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
    assert_eq!(lines(r#"{"ok":true,"result":[]}"#), lines("[]"));
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
fn what_only_begins_like_an_answer_is_told_to_be_no_update() {
    for input in [r#"{"ok":false,"error_code":409}"#, r#"{"ok":true}"#, r#"{"ok":true,"result":true}"#] {
        assert!(lines(input)[0].starts_with("number 1 is malformed: "), "{input}");
        assert_eq!(lines(input)[1], "1 updates: 0 forwarded, 0 dropped, 1 malformed", "{input}");
    }
    assert_eq!(lines(r#"{"ok":tr"#)[1], "1 updates: 0 forwarded, 0 dropped, 1 malformed");
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

/// A message in a basic group.
const GROUP: &[u8] = br#"{"update_id":1,"message":{"chat":{"id":-5,"type":"group"}}}"#;

fn forwards(filter: &Filter, body: &[u8]) -> bool {
    filter.judge(&update::parse(body).unwrap(), body) == Verdict::Forward
}

#[test]
fn the_webhook_need_not_be_named_where_it_is_the_only_one() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::Folder(dir.path().to_owned());
    assert!(matches!(choose(&source, None), Err(ChooseError::Config(_))));
    write_webhook(dir.path(), "a", &raw_config("a"));
    assert!(!forwards(&choose(&source, None).unwrap(), GROUP));
    let mut other = raw_config("b");
    other.filter.chat_types.clear();
    write_webhook(dir.path(), "b", &other);
    assert!(forwards(&choose(&source, Some("crm/b")).unwrap(), GROUP));
    assert!(!forwards(&choose(&source, Some("crm/a")).unwrap(), GROUP));
    let several = choose(&source, None).unwrap_err().to_string();
    assert!(several.contains("--webhook: crm/a, crm/b"), "{several}");
    let unknown = choose(&source, Some("crm/c")).unwrap_err().to_string();
    assert!(unknown.contains("crm/c; there are: crm/a, crm/b"), "{unknown}");
}

#[test]
fn a_filter_is_tried_without_certificates_and_whatever_else_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let source = Source::Folder(dir.path().to_owned());
    let mut config = raw_config("a");
    config.host = "not a host".to_owned();
    write_webhook(dir.path(), "a", &config);
    fs::remove_file(dir.path().join("a/tls.crt")).unwrap();
    fs::remove_file(dir.path().join("a/tls.key")).unwrap();
    assert!(!forwards(&choose(&source, None).unwrap(), GROUP));
    config.filter.expressions = vec!["update.mesage".to_owned()];
    write_webhook(dir.path(), "a", &config);
    let problem = choose(&source, Some("crm/a")).unwrap_err().to_string();
    assert!(problem.starts_with("a/config.json: filter.expressions[0]: updates have no"), "{problem}");
}

#[test]
fn a_filter_may_stand_in_a_file_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("filter.json");
    let read = |text: &str| {
        fs::write(&file, text).unwrap();
        read_filter(&file).map_err(|error| error.to_string().replace(&format!("{}: ", file.display()), ""))
    };
    assert!(!forwards(&read("{}").unwrap(), GROUP));
    assert!(forwards(&read(r#"{"chatTypes": []}"#).unwrap(), GROUP));
    for (text, problem) in [
        (r#"{"chatTypes": ["forum"]}"#, "chatTypes[0]: must be one of private, "),
        (r#"{"filter": {}}"#, "filter: unknown field"),
        (
            r#"{"topics": [0], "updateTypes": ["poll", "poll"]}"#,
            "topics[0]: must be above 0; updateTypes[1]: is",
        ),
    ] {
        let found = read(text).unwrap_err();
        assert!(found.starts_with(problem), "{found}");
    }
    assert!(
        read_filter(&dir.path().join("absent")).unwrap_err().to_string().contains("absent: can't be read")
    );
}
