//! The `filter-test` command, as somebody uses it who wants to know what a filter does.

use std::{fs, process::Stdio};

use anyhow::Context as _;
use telegram_webhook_tests::sidecar::binary;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::fixture::{Fixture, NAME, UPDATE};

/// A message in a basic group.
const GROUP: &str =
    r#"{"update_id":1,"message":{"message_id":1,"from":{"id":5},"chat":{"id":-3,"type":"group"},"date":1}}"#;

/// What the command said at its end.
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

/// Runs it with this as standard input.
async fn filter_test(args: &[&str], input: &str) -> anyhow::Result<Said> {
    let mut command = Command::new(binary().await?);
    command.arg("filter-test").args(args).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // one that doesn't read it may have ended already
    let written = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await?;
    if output.status.success() {
        written?;
    }
    Ok(Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout)?,
        error: String::from_utf8(output.stderr)?,
    })
}

#[tokio::test]
async fn it_tells_what_becomes_of_the_updates_in_a_file() -> anyhow::Result<()> {
    let fixture = Fixture::start().await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("updates.jsonl");
    let folder = fixture.folder.path().to_string_lossy().into_owned();
    let path = file.to_string_lossy().into_owned();
    let run = async |updates: &str, webhook: &str| {
        fs::write(&file, updates)?;
        filter_test(&["--webhook", webhook, "--config-dir", &folder, &path], "").await
    };
    let updates = format!("{GROUP}\n{}\n{{\"update_id\":2}}\n", UPDATE.replace('\n', ""));
    let said = run(&updates, "crm/support").await?;
    let expected = "1 message chat -3: drop, filter.chatTypes\n1 message chat 5: forward\n\
                    number 3 is malformed: it holds nothing but an update_id\n\
                    3 updates: 1 forwarded, 1 dropped, 1 malformed\n";
    assert_eq!((said.code, &*said.out), (Some(65), expected));
    assert_eq!(run(GROUP, "crm/support").await?.code, Some(0));
    let said = run("", "crm/support").await?;
    assert_eq!((said.code, &*said.error), (Some(65), "there is no update to try\n"));
    let said = run("[]", "crm/other").await?;
    assert_eq!(said.code, Some(64));
    assert!(said.error.contains("there is no webhook crm/other; there are: crm/support"), "{}", said.error);
    Ok(())
}

#[tokio::test]
async fn it_takes_an_answer_of_get_updates_from_standard_input_and_needs_no_certificate() -> anyhow::Result<()>
{
    let mut fixture = Fixture::start().await?;
    for file in ["tls.crt", "tls.key"] {
        fixture.folder.set_file(NAME, file, "");
    }
    fixture.folder.publish()?;
    let answer = format!("{{\"ok\":true,\"result\":[{GROUP},\n{UPDATE}]}}\n");
    let folder = fixture.folder.path().to_string_lossy().into_owned();
    let said = filter_test(&["--config-dir", &folder, "-"], &answer).await?;
    let expected = "1 message chat -3: drop, filter.chatTypes\n1 message chat 5: forward\n\
                    2 updates: 1 forwarded, 1 dropped, 0 malformed\n";
    assert_eq!((said.code, &*said.out, &*said.error), (Some(0), expected, ""));
    Ok(())
}

#[tokio::test]
async fn it_tries_a_filter_in_a_file_of_its_own() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("filter.json");
    let path = file.to_string_lossy().into_owned();
    for (filter, code, expected) in [
        (r#"{"chatTypes": ["group"]}"#, 0, "1 message chat -3: forward\n"),
        (
            r#"{"expressions": ["update.message.text.size() < 500"], "chatTypes": []}"#,
            0,
            "1 message chat -3: drop, filter.expressions[0] has no value\n",
        ),
        (r#"{"expressions": ["update.mesage.text != 'x'"]}"#, 64, ""),
    ] {
        fs::write(&file, filter)?;
        let said = filter_test(&["--filter", &path, "-"], GROUP).await?;
        assert_eq!(said.code, Some(code), "{}", said.error);
        assert!(said.out.starts_with(expected), "{}", said.out);
        let misspelt =
            said.error.contains("expressions[0]: updates have no `mesage`; did you mean `message`?");
        assert_eq!(misspelt, code == 64, "{}", said.error);
    }
    Ok(())
}
