//! Where the parts of strings and numbers end.

/// How a string is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// With escapes.
    Escaped,
    /// With escapes of which one is half of a pair of surrogates: no character.
    Torn,
}

/// Finds the end of an escape that these bytes begin with.
#[inline]
pub(super) fn escape(bytes: &[u8]) -> Option<(usize, Form)> {
    match bytes {
        [b'\\', b'u', digits @ ..] => match (unit(digits)?, digits.get(4..)) {
            (0xd800..0xdc00, Some([b'\\', b'u', low @ ..])) if matches!(unit(low), Some(0xdc00..0xe000)) => {
                Some((12, Form::Escaped))
            }
            (0xd800..0xe000, _) => Some((6, Form::Torn)),
            _ => Some((6, Form::Escaped)),
        },
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some((2, Form::Escaped)),
        _ => None,
    }
}

/// The UTF-16 unit that these digits stand for.
fn unit(digits: &[u8]) -> Option<u32> {
    let digits = digits.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// How many bytes there are before the first that ends a string, begins an escape or must not be in a string.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    // eight at once, for most of an update is strings. An ASCII byte below a limit borrows its highest bit when the limit is taken off;
    // one that equals another is below 1 after xor. The lowest such bit is exact, those above it may come of its borrow.
    let less = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit));
    let differs = |word: u64, byte: u8| word ^ (ONES * u64::from(byte));
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let borrowed = less(word, 0x20) | less(differs(word, b'"'), 1) | less(differs(word, b'\\'), 1);
        let found = borrowed & !word & HIGH;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let in_tail = tail.iter().position(|byte| matches!(byte, ..0x20 | b'"' | b'\\'));
    bytes.len() - tail.len() + in_tail.unwrap_or(tail.len())
}

/// Finds the end of a number that these bytes begin with.
#[inline]
pub(super) fn number(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut rest = match rest {
        // nothing but a fraction or an exponent may follow
        [b'0', b'0'..=b'9', ..] => return None,
        rest => digits(rest)?,
    };
    if let [b'.', fraction @ ..] = rest {
        rest = digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = digits(match exponent {
            [b'+' | b'-', exponent @ ..] | exponent => exponent,
        })?;
    }
    Some(bytes.len() - rest.len())
}

/// What is behind the digits that these bytes begin with; there must be one.
fn digits(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 { None } else { bytes.get(length..) }
}
