//! Reads what a record is made of, one thing after the other.

use super::Unreadable;

/// What is left to be read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(super) fn slice(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (slice, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(slice)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Unreadable> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Unreadable> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Unreadable> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn flags(&mut self) -> Result<[bool; 3], Unreadable> {
        match self.u8()? {
            flags @ 0..8 => Ok([flags & 1 != 0, flags & 2 != 0, flags & 4 != 0]),
            _ => Err(Unreadable),
        }
    }
}
