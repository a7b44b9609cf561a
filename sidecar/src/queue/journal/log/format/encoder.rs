//! Puts a batch together without copying the records' bodies.

use std::{io::IoSlice, iter};

use bytes::Bytes;

use super::{ALIGNMENT, BATCH_HEADER, BatchHeader, HEAD, Head, Kind};

/// A batch being put together.
pub(in super::super) struct Encoder {
    /// The header's place and all but the bodies, one after the other.
    small: Vec<u8>,
    /// The bodies, each with how much of `small` comes before it.
    bodies: Vec<(usize, Bytes)>,
    body_bytes: usize,
    heads: crc32fast::Hasher,
}

// === impl Encoder ===

impl Encoder {
    pub fn new() -> Self {
        let small = vec![0; BATCH_HEADER];
        Self { small, bodies: Vec::new(), body_bytes: 0, heads: crc32fast::Hasher::new() }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.small.len() + self.body_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len() == BATCH_HEADER
    }

    /// Adds a frame whose payload is `start` and then `body`, and tells where in the batch that is.
    pub fn push(&mut self, head: Head, start: &[u8], body: Bytes) -> usize {
        let head = head.encode();
        self.heads.update(&head);
        self.small.extend(head);
        let at = self.len();
        self.small.extend(start);
        if !body.is_empty() {
            self.body_bytes += body.len();
            self.bodies.push((self.small.len(), body));
        }
        let padding = self.len().next_multiple_of(ALIGNMENT) - self.len();
        self.small.extend(iter::repeat_n(0, padding));
        at
    }

    pub fn push_removals(&mut self, sequences: &[u64]) {
        let payload: Vec<u8> = sequences.iter().flat_map(|sequence| sequence.to_le_bytes()).collect();
        let Ok(length) = u32::try_from(payload.len()) else { return };
        let head = Head { kind: Kind::Removals, length, sequence: 0, crc: crc32fast::hash(&payload) };
        self.push(head, &payload, Bytes::new());
    }

    /// Fills in the header, whose length and checksum follow from the frames.
    pub fn finish(&mut self, salt: u64, header: BatchHeader) {
        let length = u32::try_from(self.len() - BATCH_HEADER).unwrap_or(u32::MAX);
        let heads = self.heads.clone().finalize();
        let header = BatchHeader { length, heads, ..header }.encode(salt);
        if let Some(place) = self.small.first_chunk_mut::<BATCH_HEADER>() {
            *place = header;
        }
    }

    /// What is to be written.
    pub fn parts(&self) -> Vec<IoSlice<'_>> {
        let mut parts = Vec::with_capacity(2 * self.bodies.len() + 1);
        let mut from = 0;
        for (until, body) in &self.bodies {
            parts.push(IoSlice::new(self.small.get(from..*until).unwrap_or_default()));
            parts.push(IoSlice::new(body));
            from = *until;
        }
        parts.push(IoSlice::new(self.small.get(from..).unwrap_or_default()));
        parts
    }
}

/// What a frame of so many removals takes.
pub(in super::super) const fn removals_framed(count: usize) -> usize {
    HEAD + count * 8
}
