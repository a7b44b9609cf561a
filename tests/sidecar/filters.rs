//! Which authenticated updates the CRM gets. Telegram hears 200 whatever becomes of one.

use std::time::Duration;

use telegram_webhook_sidecar_config::{ChatType, Filter, IdList};
use telegram_webhook_tests::{
    telegram::{
        builders::{Subject, build},
        kinds::Kind,
    },
    wait,
};

use crate::fixture::{Fixture, NAME, PATH, TOKEN, UPDATE, request};

async fn fixture_with(filter: Filter) -> anyhow::Result<Fixture> {
    Fixture::start_with(|config| config.filter = filter).await
}

/// Sends an update and fails unless the CRM gets it byte for byte.
async fn assert_forwarded(fixture: &mut Fixture, body: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let body = body.as_ref();
    let shown = String::from_utf8_lossy(body);
    let answer = fixture.ask(request(PATH, TOKEN, body)).await?;
    assert_eq!(answer.status, 200, "{shown}");
    answer.assert_bare();
    assert!(!fixture.crm.has_received_nothing_more(), "not forwarded: {shown}");
    assert_eq!(fixture.crm.received().await?.1, body, "{shown}");
    Ok(())
}

/// Sends an update and fails unless it is answered with 200, goes nowhere, is counted and leaves one record.
async fn assert_dropped(fixture: &Fixture, body: impl AsRef<[u8]>, outcome: &str) -> anyhow::Result<String> {
    let body = body.as_ref();
    let shown: String = String::from_utf8_lossy(body).chars().take(200).collect();
    let series = format!(
        "telegram_webhook_sidecar_requests_total{{webhook=\"crm/support\",slot=\"1\",outcome=\"{outcome}\"}}"
    );
    let (before, logged) = (fixture.metric(&series).await?, fixture.sidecar.log().len());
    let answer = fixture.ask(request(PATH, TOKEN, body)).await?;
    assert_eq!(answer.status, 200, "{shown}");
    answer.assert_bare();
    assert!(fixture.crm.has_received_nothing_more(), "forwarded: {shown}");
    assert_eq!(fixture.metric(&series).await?, before + 1, "{shown}");
    let record = fixture.sidecar.logged(logged, "update dropped").await?;
    assert!(record.contains(&format!("\"reject\":\"{outcome}\"")), "{record}");
    Ok(record)
}

/// A message in a chat of this type, with more fields.
fn message(chat_type: &str, fields: &str) -> String {
    format!(
        r#"{{"update_id":1,"message":{{"message_id":1,"from":{{"id":5}},"chat":{{"id":-3,"type":"{chat_type}"}},"date":1{fields}}}}}"#
    )
}

/// Lets everything through.
fn any() -> Filter {
    Filter { update_types: Vec::new(), chat_types: Vec::new(), ..Filter::default() }
}

#[tokio::test]
async fn the_default_is_what_a_support_team_needs() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    for fields in [
        r#","text":"hello""#,
        r#","photo":[{"file_id":"a"}],"caption":"look""#,
        r#","contact":{"phone_number":"1"}"#,
        r#","voice":{"file_id":"a"}"#,
        r#","new_chat_title":"t""#,
    ] {
        for chat_type in ["private", "supergroup"] {
            assert_forwarded(&mut fixture, message(chat_type, fields)).await?;
        }
    }
    let inline = r#"{"update_id":1,"callback_query":{"from":{"id":5},"inline_message_id":"i","data":"d"}}"#;
    assert_forwarded(&mut fixture, inline).await?;
    let message_of_group = message("group", "");
    let button = format!(
        r#"{{"update_id":1,"callback_query":{{"from":{{"id":5}},{}}}}}"#,
        message_of_group.trim_start_matches(r#"{"update_id":1,"#).trim_end_matches('}').to_owned() + "}"
    );
    assert_dropped(&fixture, button, "filtered_chat_type").await?;
    assert_dropped(&fixture, message_of_group, "filtered_chat_type").await?;
    let post = message("channel", "").replace("\"message\"", "\"channel_post\"");
    let record = assert_dropped(&fixture, post, "filtered_update_type").await?;
    assert!(record.contains("\"kind\":\"channel_post\"") && record.contains("\"update_id\":1"), "{record}");
    assert_dropped(&fixture, r#"{"update_id":1,"poll":{"question":"?"}}"#, "filtered_update_type").await?;
    assert_dropped(&fixture, r#"{"update_id":1,"telepathy":{}}"#, "filtered_update_type").await?;
    Ok(())
}

#[tokio::test]
async fn every_kind_that_telegram_sends_is_understood() -> anyhow::Result<()> {
    let mut fixture = fixture_with(any()).await?;
    for kind in Kind::public() {
        let subject =
            Subject { chat: -5, user: 5, text: "/start é😀".to_owned(), date: 9, number: 1, life: None };
        let mut body = b"{\"update_id\":7,\n".to_vec();
        body.extend_from_slice(&build(kind, &subject).stored);
        body.push(b'}');
        assert_forwarded(&mut fixture, &body).await?;
        let name = kind.name();
        let series =
            format!("telegram_webhook_sidecar_updates_total{{webhook=\"crm/support\",kind=\"{name}\"}}");
        assert_eq!(fixture.metric(&series).await?, 1, "{name}");
    }
    assert_forwarded(&mut fixture, r#"{"update_id":7,"telepathy":{"a":[]}}"#).await?;
    let unknown = "telegram_webhook_sidecar_updates_total{webhook=\"crm/support\",kind=\"unknown\"}";
    assert_eq!(fixture.metric(unknown).await?, 1);
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_forwarded_as_they_are() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let body =
        b"{\"update_id\":1,\n\"callback_query\":{\"from\":{\"id\":5},\"data\":\"\xff\xfe\xed\xa0\x80\"}}";
    assert_forwarded(&mut fixture, body).await
}

#[tokio::test]
async fn what_is_no_update_goes_nowhere() -> anyhow::Result<()> {
    let fixture = fixture_with(any()).await?;
    let deep = "[".repeat(10_000);
    for body in [
        "",
        "not JSON",
        "[]",
        "{}",
        r#"{"update_id":1}"#,
        r#"{"update_id":2147483648,"poll":{}}"#,
        r#"{"update_id":1,"poll":{}} {}"#,
        r#"{"update_id":1,"update_id":2,"poll":{}}"#,
        r#"{"update_id":1,"poll":{},"poll":{}}"#,
        r#"{"update_id":1,"poll":{},"message":{"chat":{"id":1,"type":"private"}}}"#,
        r#"{"update_id":1,"message":{"chat":{"id":1,"type":"private"},"chat":{"id":2,"type":"private"}}}"#,
        r#"{"update_id":1,"message":{"chat":{"id":1,"id":2,"type":"private"}}}"#,
        r#"{"update_id":1,"message":{"chat":{"id":99999999999999999999,"type":"private"}}}"#,
        r#"{"update_id":1,"message":{"chat":[1,"private"]}}"#,
        &format!("{{\"update_id\":1,\"message\":{{\"chat\":{deep}"),
        &format!("{{\"update_id\":1,\"message\":{deep}"),
    ] {
        let record = assert_dropped(&fixture, body, "malformed").await?;
        assert!(record.contains("\"level\":\"WARN\""), "{record}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_read_may_be_nested_ten_thousand_deep() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    let deep = format!("{}1{}", "{\"a\":[".repeat(5_000), "]}".repeat(5_000));
    assert_forwarded(&mut fixture, message("private", &format!(",\"reply_to_message\":{deep}"))).await
}

#[tokio::test]
async fn a_chat_inside_of_a_message_never_changes_the_verdict() -> anyhow::Result<()> {
    let nested = |field: &str| {
        format!(
            r#","{field}":{{"chat":{{"id":7,"type":"private"}},"id":7,"type":"private","from":{{"id":8}}}}"#
        )
    };
    let fields = [
        "reply_to_message",
        "forward_from_chat",
        "forward_origin",
        "external_reply",
        "sender_chat",
        "pinned_message",
    ];
    let only = |chat| Filter { chats: IdList { allow: vec![chat], deny: Vec::new() }, ..any() };
    let fixture = fixture_with(only(7)).await?;
    for field in fields {
        assert_dropped(&fixture, message("group", &nested(field)), "filtered_chat").await?;
    }
    let mut fixture = fixture_with(only(-3)).await?;
    for field in fields {
        assert_forwarded(&mut fixture, message("group", &nested(field))).await?;
    }
    let private = Filter { chat_types: vec![ChatType::Private], ..any() };
    let fixture = fixture_with(private).await?;
    for field in fields {
        assert_dropped(&fixture, message("group", &nested(field)), "filtered_chat_type").await?;
    }
    Ok(())
}

#[tokio::test]
async fn expressions_decide_about_the_whole_update() -> anyhow::Result<()> {
    let expressions = vec![
        "!has(update.message.via_bot)".to_owned(),
        "update.message.text.size() < 1000 && !update.message.entities.exists(e, e.type == 'spoiler')"
            .to_owned(),
    ];
    let mut fixture = fixture_with(Filter { expressions, ..any() }).await?;
    let entities =
        |kind: &str| format!(r#","text":"x","entities":[{{"type":"{kind}","offset":0,"length":1}}]"#);
    assert_forwarded(&mut fixture, message("private", &entities("bold"))).await?;
    assert_dropped(&fixture, message("private", &entities("spoiler")), "filtered_expression").await?;
    let record =
        assert_dropped(&fixture, message("private", ",\"via_bot\":{}"), "filtered_expression").await?;
    assert!(record.contains("filter.expressions[0]"), "{record}");
    // no text and no entities
    assert_dropped(&fixture, message("private", ""), "filtered_expression_error").await?;
    let many = vec!["1"; 10_001].join(",");
    assert_dropped(&fixture, message("private", &format!(",\"a\":[{many}]")), "filtered_expression_cost")
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_filter_with_mistakes_is_refused_and_the_old_one_stays() -> anyhow::Result<()> {
    let mut fixture = Fixture::start().await?;
    fixture.config.filter =
        Filter { update_types: vec!["mesage".to_owned()], expressions: vec!["nobody".to_owned()], ..any() };
    let before = fixture.sidecar.log().len();
    fixture.folder.set(NAME, &fixture.config, &fixture.certificate);
    fixture.folder.publish()?;
    for mistake in ["updateTypes[0]: must be one of message", "expressions[0]: must be true or false"] {
        wait::until(mistake, Duration::from_secs(30), || async {
            let log = fixture.sidecar.log().split_off(before);
            Ok(log.iter().any(|line| line.contains(mistake)).then_some(()))
        })
        .await?;
    }
    assert_forwarded(&mut fixture, UPDATE).await
}
