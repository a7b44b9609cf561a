//! How much a JSON text grows when it is parsed: each value of it takes some hundred bytes of memory, however short it is.

/// The number of values in a JSON text, or somewhat more. Counts what comes before a value and can't be part of a string.
pub fn values(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_goes_uncounted_and_strings_count_once() {
        for (json, expected) in [
            ("0", 1),
            (r#""a,[{""#, 1),
            (r#"["a\",[{", "\\", 1]"#, 4),
            (r#"{"a": {"b": [1, 2]}}"#, 5),
            ("[[0],[0]]", 5),
        ] {
            assert_eq!(values(json.as_bytes()), expected, "{json}");
        }
    }
}
