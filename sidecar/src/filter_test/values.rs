//! Cuts a stream of JSON into its values, byte for byte as they are, with no more than one in memory.

use std::io::{self, BufRead, Chain, Cursor, Read as _};

/// Telegram sends at most 513 KiB.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// What an answer of getUpdates begins with, but for white space.
const ANSWER: &[u8] = br#"{"ok":true,"result":["#;

/// The items of an array, be it the result of an answer, or values one after the other. What is no JSON is a value too: whoever reads it says so.
pub(super) struct Values<R> {
    /// What was read to look for an answer, and the rest.
    input: Chain<Cursor<Vec<u8>>, R>,
    value: Vec<u8>,
    /// Whether the values are the items of an array; unknown until the first byte.
    in_array: Option<bool>,
    /// Whether it is that of an answer, behind which there is nothing to try.
    in_answer: bool,
    ended: bool,
}

/// A value.
#[derive(Debug)]
pub(super) enum Cut<'v> {
    Whole(&'v [u8]),
    /// Skipped.
    TooLarge,
}

/// Where in a value we are.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

// === impl Values ===

impl<R: BufRead> Values<R> {
    pub(super) fn new(mut input: R) -> io::Result<Self> {
        let beginning = beginning(&mut input)?;
        let in_answer = beginning.is_none();
        Ok(Self {
            input: Cursor::new(beginning.unwrap_or_default()).chain(input),
            value: Vec::new(),
            in_array: in_answer.then_some(true),
            in_answer,
            ended: false,
        })
    }

    /// The next value; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Cut<'_>>> {
        self.value.clear();
        let mut scan = Scan::default();
        let mut too_large = false;
        while let Some(byte) = self.peek()? {
            let in_array = match self.in_array {
                Some(in_array) => in_array,
                None if byte.is_ascii_whitespace() => false,
                None => {
                    self.in_array = Some(byte == b'[');
                    if byte == b'[' {
                        self.input.consume(1);
                        continue;
                    }
                    false
                }
            };
            let started = too_large || !self.value.is_empty();
            let ends = scan.depth == 0
                && !scan.in_string
                && (byte.is_ascii_whitespace() || (in_array && matches!(byte, b',' | b']')));
            if ends {
                self.input.consume(1);
                self.ended = self.in_answer && byte == b']';
                if started {
                    break;
                }
                continue;
            }
            if scan.begins_next(byte, started) {
                break;
            }
            self.input.consume(1);
            scan.step(byte);
            if self.value.len() == MAX_VALUE_BYTES {
                too_large = true;
                self.value.clear();
            }
            if !too_large {
                self.value.push(byte);
            }
        }
        Ok(match (too_large, self.value.is_empty()) {
            (true, _) => Some(Cut::TooLarge),
            (false, true) => None,
            (false, false) => Some(Cut::Whole(&self.value)),
        })
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.ended {
            return Ok(None);
        }
        Ok(self.input.fill_buf()?.first().copied())
    }
}

/// Reads the beginning of an answer; or what is there instead, as far as it was read.
fn beginning(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut read = Vec::new();
    let mut expected = ANSWER.iter().peekable();
    while let Some(wanted) = expected.peek() {
        let Some(byte) = input.fill_buf()?.first().copied() else {
            return Ok(Some(read));
        };
        if byte == **wanted {
            expected.next();
        } else if !byte.is_ascii_whitespace() {
            return Ok(Some(read));
        }
        input.consume(1);
        read.push(byte);
    }
    Ok(None)
}

// === impl Scan ===

impl Scan {
    /// Whether a value ends where another begins right behind it.
    fn begins_next(&self, byte: u8, started: bool) -> bool {
        started && self.depth == 0 && !self.in_string && byte == b'{'
    }

    fn step(&mut self, byte: u8) {
        match (self.in_string, byte) {
            // a string ends with its line: one that is left open takes no others with it
            (true, b'\n') => *self = Self::default(),
            (true, _) if self.escaped => self.escaped = false,
            (true, b'\\') => self.escaped = true,
            (_, b'"') => self.in_string = !self.in_string,
            (false, b'{' | b'[') => self.depth += 1,
            (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}
