use super::*;

fn with_expression(expression: &str) -> raw::Filter {
    raw::Filter { expressions: strings([expression]), ..any() }
}

#[test]
fn an_expression_that_is_too_much_or_unknown_is_a_mistake() {
    let long = format!("update.poll == '{}'", "x".repeat(1024));
    let wide = vec!["true"; 150].join("||");
    let joined = format!("update.poll == {}", ["update.message"; 10].join(" + "));
    let listed = format!("update.poll in [{}]", ["update"; 9].join(","));
    for (expression, reason) in [
        ("", "is not CEL"),
        ("update.", "is not CEL"),
        ("update.?a", "is not CEL"),
        (&long, "at most 1024 bytes"),
        (&wide, "at most 200"),
        ("update", "true or false"),
        ("1 + 1", "true or false"),
        ("'true'", "true or false"),
        ("update.poll ? 1 : 2", "true or false"),
        ("size(update)", "true or false"),
        ("chat == 1", "unknown variable \"chat\""),
        ("update.poll.exists(e, e == f)", "unknown variable \"f\""),
        ("update.poll.exists(e, e) && e", "unknown variable \"e\""),
        ("type(update.poll) == string", "unknown function \"type\""),
        ("update.poll.matches('(a+)+$')", "unknown function \"matches\""),
        ("update.poll.lowerAscii() == 'a'", "unknown function \"lowerAscii\""),
        ("update.poll.contains('b', 'c')", "unknown function \"contains\""),
        ("contains('a', 'b')", "unknown function \"contains\""),
        ("update.poll.map(e, e) == []", "must not make lists"),
        ("size(update.poll.filter(e, e)) > 1", "must not make lists"),
        ("update.poll.all(e, e) && update.message.all(e, e)", "at most one of"),
        ("update.poll.all(e, update.message.all(f, f == e))", "at most one of"),
        (&joined, "at most 8 values together"),
        (&listed, "at most 8 values together"),
        ("Message{a: 1}.a", "not supported"),
        ("update.mesage.text != 'x'", "updates have no `mesage`; did you mean `message`?"),
        ("!has(update.mesage)", "did you mean `message`?"),
        ("update['mesage'].text != 'x'", "did you mean `message`?"),
        ("update.message.entities.exists(e, e == update.texts)", "updates have no `texts`"),
    ] {
        let problems = problems(&with_expression(expression));
        let [problem] = problems.as_slice() else {
            panic!("{expression}: one problem expected: {problems:?}")
        };
        assert!(problem.contains(reason), "{expression}: {problem}");
    }
}

#[test]
fn sources_that_nest_without_end_are_refused_and_not_a_crash() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("-", ""),
        ("update.poll[", "]"),
        ("a?a:", ""),
        ("size(", ")"),
        ("{1:", "}"),
        ("update.all(e,", ")"),
    ] {
        let times = 1000 / (open.len() + close.len());
        let source = format!("{}update{}", open.repeat(times), close.repeat(times));
        assert_eq!(problems(&with_expression(&source)).len(), 1, "{source}");
    }
    let chain = format!("update{}", ".a".repeat(500));
    assert_eq!(problems(&with_expression(&chain)).len(), 1);
}

#[test]
fn expressions_are_about_the_whole_update() {
    let body = message(
        "private",
        r#","text":"caf\u00e9 😀","entities":[{"type":"url","offset":0,"length":4},{"type":"bold","offset":5,"length":1}],"reply_to_message":{"from":{"id":-9,"is_bot":true}}"#,
    );
    for expression in [
        "true",
        "update.message.chat.type == 'private'",
        "update.message.chat.id == -3 && update.update_id == 1",
        "update.message.from.id in [1, 2, 5]",
        "has(update.message.text) && !has(update.message.photo)",
        "update.message.text.startsWith('café') && update.message.text.endsWith('😀')",
        "size(update.message.text) == 6 || update.message.text.size() == 6",
        "update.message.entities.exists(e, e.type == 'url' && e.offset == 0)",
        "!update.message.entities.all(e, e.type == 'url')",
        "update.message.entities.exists_one(e, e.type == 'bold')",
        "update.message.reply_to_message.from.is_bot",
        "update.message.from.id % 5 == 0 && update.message.from.id * 2 + 1 - 1 == 10",
        "update['message']['entities'][1].type == 'bold'",
        "has(update.callback_query) ? update.callback_query.data == 'x' : true",
        "string(update.update_id) + 'x' == '1x'",
        "update.poll.there == 1 || true",
        "update.message.entities.exists(update, update.type == 'url')",
    ] {
        assert_eq!(verdict(&with_expression(expression), &body), Verdict::Forward, "{expression}");
        let negated = format!("!({expression})");
        assert_eq!(
            verdict(&with_expression(&negated), &body),
            Verdict::Drop(Rule::Expression(0)),
            "{negated}"
        );
    }
}

#[test]
fn an_expression_without_a_value_does_not_hold() {
    let error = Verdict::Drop(Rule::ExpressionError(0));
    for expression in [
        "update.message.photo == 1",
        "update.message.from.id / 0 == 1",
        "update.message.from.id + 'x' == 'x'",
        "update.message.from.id",
        "update.message.from.all(e, e)",
        "update.message.chat.id - 9223372036854775807 < 0",
    ] {
        assert_eq!(verdict(&with_expression(expression), message("private", "")), error, "{expression}");
    }
    let twice = message("private", r#","a":{"b":1,"b":2}"#);
    assert_eq!(verdict(&with_expression("true"), twice), error, "who knows which of them counts");
}

#[test]
fn the_documented_example_guards_every_field() {
    const EXAMPLE: &str =
        "!has(update.message) || !has(update.message.text) || update.message.text.size() < 500";
    let filter = with_expression(EXAMPLE);
    for body in [
        message("private", r#","text":"a""#),
        message("private", r#","photo":[]"#),
        CALLBACK.into(),
        POLL.into(),
    ] {
        assert_eq!(verdict(&filter, &body), Verdict::Forward, "{body}");
    }
    let long = message("private", &format!(r#","text":"{}""#, "x".repeat(500)));
    assert_eq!(verdict(&filter, long), Verdict::Drop(Rule::Expression(0)));
    for document in [
        include_str!("../../../../README.md"),
        include_str!("../../../../../crds/src/telegram_webhook/filter.rs"),
    ] {
        assert!(document.replace("\n    /// ", " ").contains(&format!("`{EXAMPLE}`")));
    }
}

#[test]
fn all_expressions_must_hold_and_the_first_that_does_not_is_named() {
    let filter = raw::Filter { expressions: strings(["true", "update.update_id == 2", "false"]), ..any() };
    assert_eq!(verdict(&filter, POLL), Verdict::Drop(Rule::Expression(1)));
    assert_eq!(verdict(&filter, POLL.replace(":1", ":2")), Verdict::Drop(Rule::Expression(2)));
}

#[test]
fn bytes_that_are_no_utf_8_reach_expressions_as_a_replacement() {
    let body = b"{\"update_id\":1,\"callback_query\":{\"from\":{\"id\":5},\"data\":\"a\xff\"}}";
    let filter = with_expression("update.callback_query.data.startsWith('a')");
    assert_eq!(verdict(&filter, body), Verdict::Forward);
}

#[test]
fn an_update_too_large_for_expressions_is_not_evaluated() {
    let cost = Verdict::Drop(Rule::ExpressionCost(0));
    let body = |value: String| format!(r#"{{"update_id":1,"new":{value}}}"#);
    let nodes = |count: usize| body(format!("[{}]", vec!["1"; count].join(",")));
    let filter = with_expression("true");
    // the update, its keys and values, and the list are nodes too
    assert_eq!(verdict(&filter, nodes(10_000 - 5)), Verdict::Forward);
    assert_eq!(verdict(&filter, nodes(10_000 - 4)), cost);
    let nested = |levels: usize| body(format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
    assert_eq!(verdict(&filter, nested(64)), Verdict::Forward);
    assert_eq!(verdict(&filter, nested(65)), cost);
    let keys: Vec<_> = (0..5000).map(|key| format!("\"{key}\":1")).collect();
    assert_eq!(verdict(&filter, body(format!("{{{}}}", keys.join(",")))), cost);
}

#[test]
fn a_loop_over_much_is_not_evaluated() {
    let body =
        |count: usize| format!(r#"{{"update_id":1,"poll":{{"list":[{}]}}}}"#, vec!["1"; count].join(","));
    let filter = with_expression("update.poll.list.exists(e, update == e || update.poll.list == [e])");
    assert_eq!(verdict(&filter, body(5_000)), Verdict::Drop(Rule::ExpressionCost(0)));
    assert_eq!(verdict(&filter, body(100)), Verdict::Drop(Rule::Expression(0)));
    let text = "x".repeat(500_000);
    let many = format!(
        r#"{{"update_id":1,"poll":{{"text":"{text}","list":[{}]}}}}"#,
        vec!["\"y\""; 3_000].join(",")
    );
    let filter = with_expression("update.poll.list.exists(e, update.poll.text.contains(e))");
    assert_eq!(verdict(&filter, many), Verdict::Drop(Rule::ExpressionCost(0)));
}

#[test]
fn the_deepest_expression_fits_the_stack_of_a_worker() {
    // as many levels as are taken
    let levels = |open: &str, close: &str| {
        let sources = (1..100).map(|levels| format!("{}true{}", open.repeat(levels), close.repeat(levels)));
        sources.take_while(|source| problems(&with_expression(source)).is_empty()).last().unwrap()
    };
    let sources = [
        levels("(true && ", ")"),
        levels("true == (", ")"),
        levels("[true][0] == (", ")"),
        levels("true ? (", ") : false"),
    ];
    for source in sources {
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let judged = small.spawn(move || verdict(&with_expression(&source), POLL)).unwrap();
        assert_eq!(judged.join().unwrap(), Verdict::Forward);
    }
}

#[test]
fn no_operation_on_any_values_is_a_crash() {
    let values = [
        "null",
        "true",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "0.0",
        "-1.5",
        "1e308",
        "\"\"",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"-9223372036854775809\"",
        "\"1e999\"",
        "[]",
        "[[1],\"a\"]",
        "{}",
        "{\"\":{\"a\":null}}",
    ];
    let operations = [
        "a + b == a",
        "a - b == a",
        "a * b == a",
        "a / b == a",
        "a % b == a",
        "-a == b",
        "a < b",
        "a >= b",
        "a == b",
        "a != b",
        "a in b",
        "a[b] == a",
        "a.contains(b)",
        "a.startsWith(b)",
        "a.endsWith(b)",
        "size(a) == b",
        "int(a) == b",
        "double(a) == b",
        "string(a) == b",
        "bool(a) == b",
        "!a",
        "a && b",
        "a || b",
        "a ? b : a",
        "[a, b] == [b, a]",
        "{a: b} == {b: a}",
        "a.exists(e, e == b)",
        "a.all(e, e < b)",
        "a.exists_one(e, e in b)",
        "has(a.b)",
        "int(double(a)) == b",
    ];
    for operation in operations {
        let source = operation.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_');
        let source: String = source
            .map(|part| match (part.strip_prefix('a'), part.strip_prefix('b')) {
                (Some(rest), _) if rest.len() < 2 && !rest.starts_with(char::is_alphanumeric) => {
                    format!("update.poll.a{rest}")
                }
                (_, Some(rest)) if rest.len() < 2 && !operation.contains(".b") => {
                    format!("update.poll.b{rest}")
                }
                _ => part.to_owned(),
            })
            .collect();
        let place = Place::Folder("a".to_owned());
        let mut findings = Findings::new(&place);
        let filter = Filter::parse(&with_expression(&source), &mut findings);
        assert!(findings.into_problems().is_empty(), "{source}");
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (a, b))) {
            let body = format!(r#"{{"update_id":1,"poll":{{"a":{a},"b":{b}}}}}"#);
            let update = update::parse(body.as_bytes()).unwrap();
            drop(format!("{:?}", filter.judge(&update, body.as_bytes())));
        }
    }
}
