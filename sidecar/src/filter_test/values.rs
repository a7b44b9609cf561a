//! Cuts a stream of JSON into its values, byte for byte as they are, with no more than one in memory.

use std::io::{self, BufRead};

/// Telegram sends at most 513 KiB.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// The items of an array, or values one after the other. What is no JSON is a value too: whoever reads it says so.
pub(super) struct Values<R> {
    input: R,
    value: Vec<u8>,
    /// Whether the values are the items of an array; unknown until the first byte.
    in_array: Option<bool>,
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
    pub(super) fn new(input: R) -> Self {
        Self { input, value: Vec::new(), in_array: None }
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
        Ok(self.input.fill_buf()?.first().copied())
    }
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
