use serde::de::IgnoredAny;

use super::*;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

const VALUES: &[&[u8]] = &[
    br#"{"a":[1,-2.50,3e+7,{"b":null,"":[]}],"c":{},"d":"\u00e9\ud83d\ude00\\\"","e":[true,false,[[]]]}"#,
    b"\"a text of more than sixteen bytes, \xff\xfe\xe2\x80 and \xc3\xa9, \\ud800 \\udc00\\ud800\\n\"",
    b"-0.1E-5",
    b"9223372036854775807",
    b"-9223372036854775808",
    b" [ ] ",
];

/// What is put into values to break them, or not.
const PIECES: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\x0b",
    b"\x00",
    b"\x1f",
    b"\x7f",
    b"\xff",
    b"\xef\xbb\xbf",
    b"0",
    b"1",
    b"-",
    b"+",
    b".",
    b"e",
    b"E",
    b"null",
    b"true",
    b"false",
    b"nul",
    b"01",
    b"-0",
    b"1.",
    b".5",
    b"1e999",
    b"\\u",
    b"\\ud800",
    b"\\udc00",
    b"\\ud83d\\ude00",
    b"\\u12g4",
    b"\\u+123",
    b"\\x",
    b"\"a\":",
    b"[[[[",
    b"]]]]",
];

fn broken(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = VALUES[dice.below(VALUES.len())].to_vec();
    for _ in 0..dice.below(4) {
        let from = dice.below(bytes.len() + 1);
        let to = (from + dice.below(3)).min(bytes.len());
        let piece = if dice.below(4) == 0 { b"" } else { PIECES[dice.below(PIECES.len())] };
        bytes.splice(from..to, piece.iter().copied());
    }
    bytes
}

fn whole<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Scanner<'a>) -> Result<T, Malformed>) -> Option<T> {
    let mut scanner = Scanner::new(bytes);
    let value = read(&mut scanner).ok()?;
    scanner.end().ok().map(|()| value)
}

#[test]
fn what_serde_json_takes_is_taken_and_nothing_else() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut taken = 0;
    for _ in 0..200_000 {
        let bytes = broken(&mut dice);
        let text = &*String::from_utf8_lossy(&bytes);
        let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        assert_eq!(whole(&bytes, Scanner::skip).is_some(), is_json, "{text:?}");
        assert_eq!(
            whole(&bytes, Scanner::text).map(Raw::decode),
            serde_json::from_str(text).ok(),
            "{text:?}"
        );
        let word = whole(&bytes, Scanner::word).map(|word| String::from_utf8_lossy(&word).into_owned());
        assert_eq!(word, serde_json::from_str(text).ok(), "{text:?}");
        assert_eq!(whole(&bytes, Scanner::integer), serde_json::from_str(text).ok(), "{text:?}");
        assert_eq!(whole(&bytes, Scanner::bool), serde_json::from_str(text).ok(), "{text:?}");
        taken += usize::from(is_json);
    }
    assert!((20_000..180_000).contains(&taken), "{taken} of 200,000 were JSON");
}

#[test]
fn a_string_ends_where_it_ends_wherever_that_is() {
    for length in 0..70 {
        for end in [&b"\""[..], b"\\n\"", b"\\\"\"", b"\xff\"", b"\x1f\"", b"\x00\"", b"\\", b""] {
            let mut bytes = vec![b'"'];
            bytes.resize(1 + length, b'~');
            bytes.extend_from_slice(end);
            let expected = serde_json::from_str(&String::from_utf8_lossy(&bytes)).ok();
            assert_eq!(whole(&bytes, Scanner::text).map(Raw::decode), expected, "{bytes:?}");
        }
    }
}
