use proptest::prelude::*;

use super::*;

fn compile(source: &str) -> Result<Expression, String> {
    Expression::compile(&[source.to_owned()]).remove(0)
}

fn steps(source: &str, size: usize, longest: usize) -> usize {
    compile(source).unwrap_or_else(|error| panic!("{source}: {error}")).steps(size, longest)
}

#[test]
fn each_source_has_its_own_result() {
    let sources = ["true", "update.", "update.mesage == 1"].map(str::to_owned);
    let compiled = Expression::compile(&sources);
    let errors: Vec<_> = compiled.into_iter().map(|compiled| compiled.err().unwrap_or_default()).collect();
    assert_eq!(errors.len(), 3);
    assert_eq!(errors[0], "");
    assert!(errors[1].starts_with("is not CEL: line 1, column "), "{errors:?}");
    assert_eq!(errors[2], "updates have no `mesage`; did you mean `message`?");
    assert!(Expression::compile(&[]).is_empty());
}

#[test]
fn a_loop_takes_its_body_for_each_item() {
    let once = steps("update.poll == 1", 10, 1000);
    assert_eq!(once, steps("update.poll == 1", 10, 0), "without a loop");
    let long = steps("update.poll.all(e, e == 1)", 10, 1000);
    assert!(long > 100 * once, "{long} {once}");
}

#[test]
fn what_is_joined_is_as_long_and_as_large_as_all_its_parts() {
    let joined = |parts: usize| {
        let list = vec!["update.poll.a"; parts].join(" + ");
        steps(&format!("({list}).all(e, e == 1)"), 10, 1000)
    };
    let one = joined(1);
    // up to 5 times the items, and each of them up to 5 times as large
    assert!(joined(5) > 5 * 5 * one, "{} {one}", joined(5));
    let listed = steps("[update, update, update] == update.poll.a", 10_000, 1);
    assert!(listed > 3 * steps("update == update.poll.a", 10_000, 1), "{listed}");
}

proptest! {
    #[test]
    fn no_source_is_a_crash(source in ".{0,64}") {
        drop(compile(&source));
    }

    #[test]
    fn no_sequence_of_tokens_is_a_crash(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..40)) {
        drop(compile(&tokens.concat()));
    }
}

const TOKENS: &[&str] = &[
    "update",
    ".",
    ".message",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    "?",
    " && ",
    " || ",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "<",
    " in ",
    "1",
    "1u",
    "0x",
    "1e999",
    "9223372036854775808",
    "1.5",
    "'a'",
    "\"",
    "'",
    "r'",
    "b'\\xff'",
    "'\\",
    "\\u",
    "'''",
    "`",
    "has(",
    ".all(e, ",
    ".exists(e, ",
    ".exists_one(e, e)",
    ".map(e, e)",
    ".size()",
    "e",
    "é",
    "null",
    "true",
    "//",
    "\n",
    "M{a: 1}",
    ".?",
    "[?",
    "size(",
];
