//! Reads JSON from front to back and keeps nothing of it: the shape is known, and most of an update is of no interest.
//!
//! What is accepted is what `serde_json` accepts, in a fraction of its time. The bytes need not be UTF-8: only in strings is
//! there any that isn't ASCII, and a string is decoded, lossily, only when somebody asks what it says.

mod skip;
mod token;

use std::{borrow::Cow, fmt};

use self::token::Form;
use super::Malformed;

pub(super) struct Scanner<'a> {
    rest: &'a [u8],
    /// The brackets that close what is being skipped, the innermost last. No recursion: strangers choose how deep it is.
    open: Vec<u8>,
}

/// A value's own bytes, once they have been checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<'a>(&'a [u8]);

// === impl Scanner ===

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, open: Vec::new() }
    }

    /// The first byte of what comes next.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\n' | b'\t' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    /// Reads an object. `field` reads the value of the field of this name.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.enter(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.at_name()?;
            let name = self.word_at_quote()?;
            self.expect(b':')?;
            field(self, &name)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Reads an array. `item` reads one of its values. The answer is the array's own bytes.
    pub(super) fn array(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<Raw<'a>, Malformed> {
        self.peek();
        let from = self.rest;
        self.enter(b'[')?;
        if !self.take(b']') {
            item(self)?;
            while self.take(b',') {
                item(self)?;
            }
            self.expect(b']')?;
        }
        Ok(self.since(from))
    }

    /// Reads a string, and leaves it as it is.
    pub(super) fn text(&mut self) -> Result<Raw<'a>, Malformed> {
        self.at_string()?;
        self.string_at_quote().map(|(raw, _)| raw)
    }

    /// Reads a string that is compared with some of ours.
    pub(super) fn word(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        self.at_string()?;
        self.word_at_quote()
    }

    /// Reads a number that has neither fraction nor exponent.
    #[inline]
    pub(super) fn integer(&mut self) -> Result<i64, Malformed> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.mistyped());
        }
        let (digits, is_negative) = match self.number()? {
            // minus zero is no integer
            [b'-', b'0'] => return Err(Malformed::WrongType),
            [b'-', digits @ ..] => (digits, true),
            digits => (digits, false),
        };
        // below zero there is one more
        let negated = digits.iter().try_fold(0_i64, |value, digit| match digit {
            b'0'..=b'9' => value.checked_mul(10)?.checked_sub(i64::from(digit - b'0')),
            _ => None,
        });
        let value = if is_negative { negated } else { negated.and_then(i64::checked_neg) };
        value.ok_or(Malformed::WrongType)
    }

    pub(super) fn bool(&mut self) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b't') => self.literal(b"true").map(|()| true),
            Some(b'f') => self.literal(b"false").map(|()| false),
            _ => Err(self.mistyped()),
        }
    }

    /// Reads one of JSON's own words.
    pub(super) fn literal(&mut self, literal: &[u8]) -> Result<(), Malformed> {
        self.rest = self.rest.strip_prefix(literal).ok_or(Malformed::NotJson)?;
        Ok(())
    }

    /// Checks that a field's name comes next.
    fn at_name(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'"') { Ok(()) } else { Err(Malformed::NotJson) }
    }

    /// Checks that a value comes next that is a string.
    fn at_string(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'"') { Ok(()) } else { Err(self.mistyped()) }
    }

    #[inline]
    fn word_at_quote(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        match self.string_at_quote()? {
            (Raw([_, word @ .., _]), Form::Plain) => Ok(Cow::Borrowed(word)),
            (raw, _) => Ok(Cow::Owned(raw.decode().into_bytes())),
        }
    }

    // without a call, what it answers stays in registers
    #[inline]
    fn string_at_quote(&mut self) -> Result<(Raw<'a>, Form), Malformed> {
        let from = self.rest;
        match self.skip_string()? {
            Form::Torn => Err(Malformed::NotJson),
            form => Ok((self.since(from), form)),
        }
    }

    /// Passes over a string whose opening quote comes next.
    fn skip_string(&mut self) -> Result<Form, Malformed> {
        let mut form = Form::Plain;
        let mut rest = self.rest.strip_prefix(b"\"").ok_or(Malformed::NotJson)?;
        loop {
            let length = match rest {
                // one escape often follows another: Telegram escapes all that isn't ASCII
                [b'\\', ..] => {
                    let (length, escape) = token::escape(rest).ok_or(Malformed::NotJson)?;
                    form = form.max(escape);
                    length
                }
                _ => token::plain(rest),
            };
            match rest.get(length..) {
                Some([b'"', behind @ ..]) => {
                    self.rest = behind;
                    return Ok(form);
                }
                // the end, or a control character
                _ if length == 0 => return Err(Malformed::NotJson),
                Some(next) => rest = next,
                None => return Err(Malformed::NotJson),
            }
        }
    }

    #[inline]
    fn number(&mut self) -> Result<&'a [u8], Malformed> {
        let length = token::number(self.rest).ok_or(Malformed::NotJson)?;
        let (number, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        Ok(number)
    }

    /// Reads nothing but the end.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        self.peek().map_or(Ok(()), |_| Err(Malformed::NotJson))
    }

    /// What is wrong with a value that isn't of the type that it must be.
    pub(super) fn mistyped(&mut self) -> Malformed {
        match self.peek() {
            Some(b'[' | b'{') => Malformed::WrongType,
            _ => self.skip().err().unwrap_or(Malformed::WrongType),
        }
    }

    fn enter(&mut self, bracket: u8) -> Result<(), Malformed> {
        if self.take(bracket) { Ok(()) } else { Err(self.mistyped()) }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.advance(1);
        }
        is_next
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(Malformed::NotJson) }
    }

    fn advance(&mut self, by: usize) {
        self.rest = self.rest.get(by..).unwrap_or_default();
    }

    /// What has been read since `from` was the rest.
    fn since(&self, from: &'a [u8]) -> Raw<'a> {
        Raw(from.get(..from.len() - self.rest.len()).unwrap_or_default())
    }
}

// === impl Raw ===

impl<'a> Raw<'a> {
    /// What a string says.
    pub(super) fn decode(self) -> String {
        // it has been checked: this can't fail
        serde_json::from_str(&String::from_utf8_lossy(self.0)).unwrap_or_default()
    }

    /// Reads it once more.
    pub(super) fn scan(self) -> Scanner<'a> {
        Scanner::new(self.0)
    }
}

/// Nothing of what it holds, which is a user's.
impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
