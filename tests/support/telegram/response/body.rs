//! The body of an answer: none, of a known length, or in chunks whose extensions and trailers are not understood.

use bytes::{Buf as _, BytesMut};

use super::super::arguments::Unreadable;

const MAX_CHUNK_LINE: usize = 8;

/// A body that is being read.
pub struct Body {
    /// What has come so far.
    pub content: Vec<u8>,
    left: Left,
}

enum Left {
    Nothing,
    Bytes(u64),
    ChunkLength,
    /// Bytes left of the chunk, and whether it is the last one.
    Chunk(u64, bool),
}

impl Body {
    /// No body.
    pub fn none() -> Self {
        Self::new(Left::Nothing)
    }

    /// So many bytes.
    pub fn of_length(length: u64) -> Self {
        Self::new(Left::Bytes(length))
    }

    /// Chunks.
    pub fn chunked() -> Self {
        Self::new(Left::ChunkLength)
    }

    fn new(left: Left) -> Self {
        Self { content: Vec::new(), left }
    }

    /// Whether nothing has come.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// Takes what belongs to it from the input; true when it is complete.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<bool, Unreadable> {
        loop {
            match self.left {
                Left::Nothing => return Ok(true),
                Left::Bytes(0) => self.left = Left::Nothing,
                Left::Bytes(left) => {
                    let taken = self.take(input, left);
                    if taken == 0 {
                        return Ok(false);
                    }
                    self.left = Left::Bytes(left - taken);
                }
                Left::ChunkLength => match chunk_length(input)? {
                    Some(length) => self.left = Left::Chunk(length, length == 0),
                    None => return Ok(false),
                },
                Left::Chunk(0, last) => {
                    if input.len() < 2 {
                        return Ok(false);
                    }
                    // whatever these two bytes are
                    input.advance(2);
                    self.left = if last { Left::Nothing } else { Left::ChunkLength };
                }
                Left::Chunk(left, last) => {
                    let taken = self.take(input, left);
                    if taken == 0 {
                        return Ok(false);
                    }
                    self.left = Left::Chunk(left - taken, last);
                }
            }
        }
    }

    fn take(&mut self, input: &mut BytesMut, most: u64) -> u64 {
        let length = input.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        self.content.extend_from_slice(&input.split_to(length));
        length as u64
    }
}

fn chunk_length(input: &mut BytesMut) -> Result<Option<u64>, Unreadable> {
    let end = input.windows(2).position(|window| window == b"\r\n");
    if end.unwrap_or(input.len()) > MAX_CHUNK_LINE {
        return Err(Unreadable::new(400, "Bad Request: Too long length in chunked"));
    }
    let Some(end) = end else {
        return Ok(None);
    };
    let line = input.split_to(end);
    input.advance(2);
    // an extension ends the number
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let digits = String::from_utf8_lossy(line.get(..digits).unwrap_or_default()).into_owned();
    Ok(Some(u64::from_str_radix(&digits, 16).unwrap_or_default()))
}
