use super::*;

fn commands_of(fields: &str) -> Vec<String> {
    facts("message", &message(fields)).commands()
}

#[test]
fn commands_are_found_where_their_entities_say_in_utf_16() {
    let entity =
        |offset: u32, length: u32| format!(r#"{{"type":"bot_command","offset":{offset},"length":{length}}}"#);
    let text =
        |text: &str, entities: &[String]| format!(r#","text":"{text}","entities":[{}]"#, entities.join(","));
    assert_eq!(commands_of(&text("/start now", &[entity(0, 6)])), ["start"]);
    assert_eq!(commands_of(&text("\\ud83d\\ude00\\u00e9 /a@my_bot", &[entity(4, 9)])), ["a"]);
    assert_eq!(commands_of(&text("😀/a /b_2", &[entity(5, 4), entity(2, 2)])), ["a", "b_2"]);
    // not where they say: in a pair of surrogates, behind the end, no slash, no name
    for entities in [
        [entity(1, 2)],
        [entity(40, 2)],
        [entity(4_294_967_295, 4_294_967_295)],
        [entity(0, 2)],
        [entity(2, 1)],
    ] {
        assert_eq!(commands_of(&text("😀/a", &entities)), [""; 0], "{entities:?}");
    }
    let other = r#","text":"/a","entities":[{"type":"bold","offset":0,"length":2}]"#;
    assert_eq!(commands_of(other), [""; 0]);
    let caption =
        r#","photo":[],"caption":"/a","caption_entities":[{"type":"bot_command","offset":0,"length":2}]"#;
    assert_eq!(commands_of(caption), ["a"]);
}

#[test]
fn many_commands_are_found_in_one_walk_over_the_text() {
    let entities: Vec<_> = (0..20_000)
        .rev()
        .map(|index| format!(r#"{{"type":"bot_command","offset":{},"length":3}}"#, index * 3))
        .collect();
    let fields = format!(r#","text":"{}","entities":[{}]"#, "/a ".repeat(20_000), entities.join(","));
    assert_eq!(commands_of(&fields).len(), 0, "a blank is in none of the names");
    let fields = fields.replace("\"length\":3", "\"length\":2");
    assert_eq!(commands_of(&fields).len(), 20_000);
}

#[test]
fn each_kind_of_content_is_told_by_its_field() {
    use telegram_webhook_sidecar_config::Content;
    let entity = r#","entities":[{"type":"bot_command","offset":0,"length":2}]"#;
    for (fields, expected) in [
        (r#","text":"a""#, &[Content::Text][..]),
        (&format!(r#","text":"/a"{entity}"#), &[Content::Command]),
        (r#","photo":[],"caption":"a""#, &[Content::Photo]),
        (r#","video":{}"#, &[Content::Video]),
        (r#","video_note":{}"#, &[Content::VideoNote]),
        (r#","voice":{}"#, &[Content::Voice]),
        (r#","audio":{}"#, &[Content::Audio]),
        (r#","document":{}"#, &[Content::Document]),
        (r#","document":{},"animation":{}"#, &[Content::Animation]),
        (r#","sticker":{}"#, &[Content::Sticker]),
        (r#","contact":{}"#, &[Content::Contact]),
        (r#","location":{}"#, &[Content::Location]),
        (r#","venue":{},"location":{}"#, &[Content::Location]),
        (r#","poll":{}"#, &[Content::Poll]),
        (r#","dice":{}"#, &[Content::Other]),
        (r#","photo":null"#, &[Content::Other]),
        ("", &[Content::Other]),
        (r#","text":"a","photo":[]"#, &[Content::Text, Content::Photo]),
    ] {
        let content = facts("message", &message(fields)).content;
        assert_eq!(content, expected.iter().copied().collect(), "{fields}");
    }
}

#[test]
fn a_thread_is_a_topic_in_forums_only() {
    for (chat, thread, topic) in [
        (r#","is_forum":true"#, r#","message_thread_id":4,"is_topic_message":true"#, Some(4)),
        (r#","is_forum":true"#, r#","message_thread_id":4"#, Some(4)),
        (r#","is_forum":true"#, "", Some(1)),
        ("", r#","message_thread_id":4,"is_topic_message":true"#, Some(4)),
        ("", r#","is_topic_message":true"#, None),
        ("", r#","message_thread_id":4"#, None),
        (r#","is_forum":false"#, r#","message_thread_id":4,"is_topic_message":false"#, None),
        ("", "", None),
    ] {
        let content = format!(r#"{{"chat":{{"id":-3,"type":"supergroup"{chat}}}{thread}}}"#);
        assert_eq!(facts("message", &content).topic, topic, "{content}");
        let callback = format!(r#"{{"from":{{"id":5}},"message":{content}}}"#);
        assert_eq!(facts("callback_query", &callback).topic, topic, "{callback}");
    }
}

#[test]
fn of_a_command_that_is_longer_than_any_only_so_much_is_taken_as_tells_it_from_those() {
    let text = format!("/{}", "a".repeat(1000));
    let entities = r#"{"type":"bot_command","offset":0,"length":1001},"#.repeat(100);
    let entities = entities.trim_end_matches(',');
    let found = commands_of(&format!(r#","text":"{text}","entities":[{entities}]"#));
    assert_eq!((found.len(), found[0].len()), (100, 33));
    let listed = format!(
        r#","text":"/{0}@bot","entities":[{{"type":"bot_command","offset":0,"length":37}}]"#,
        "a".repeat(32)
    );
    assert_eq!(commands_of(&listed), ["a".repeat(32)]);
}
