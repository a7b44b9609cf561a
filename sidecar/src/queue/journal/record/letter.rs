//! A dead letter as a record.

use bytes::{BufMut as _, Bytes};

use super::{Head, Reader, UPDATE, Unreadable, flags, put_optional};
use crate::queue::Reason;

const LETTER: u8 = 4;

/// A record of the log of what was set aside.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Letter<'a> {
    pub at: u64,
    pub reason: Reason,
    /// The update that it was; None of one that never waited.
    pub origin: Option<u64>,
    pub chat: Option<i64>,
    pub head: Head,
    pub body: &'a [u8],
}

// === impl Letter ===

impl<'a> Letter<'a> {
    pub fn decode(record: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader(record);
        if reader.u8()? != LETTER {
            return Err(Unreadable);
        }
        let [has_origin, has_chat, _] = reader.flags()?;
        let at = reader.u64()?;
        let why = reader.u8()?;
        let number = u32::from_le_bytes(reader.array()?);
        let length = u32::from_le_bytes(reader.array()?);
        let text = reader.slice(length as usize)?;
        let text = || String::from_utf8(text.to_vec()).map_err(|_| Unreadable);
        let reason = match why {
            1 => Reason::Malformed(text()?),
            2 => Reason::Refused(number.try_into().map_err(|_| Unreadable)?),
            3 => Reason::Exhausted { attempts: number, last: text()? },
            _ => return Err(Unreadable),
        };
        let origin = has_origin.then(|| reader.u64()).transpose()?;
        let chat = has_chat.then(|| reader.i64()).transpose()?;
        match reader.u8()? {
            UPDATE => Ok(Self { at, reason, origin, chat, head: Head::read(&mut reader)?, body: reader.0 }),
            _ => Err(Unreadable),
        }
    }

    /// All of it but the body, which follows.
    pub fn encode_head(&self) -> Bytes {
        let Self { at, reason, origin, chat, head, body: _ } = self;
        let (why, number, text) = match reason {
            Reason::Malformed(text) => (1, 0, text.as_str()),
            Reason::Refused(status) => (2, (*status).into(), ""),
            Reason::Exhausted { attempts, last } => (3, *attempts, last.as_str()),
        };
        let mut bytes = vec![LETTER, flags([origin.is_some(), chat.is_some(), false])];
        bytes.put_u64_le(*at);
        bytes.put_u8(why);
        bytes.put_u32_le(number);
        // no text of ours comes near to four billion bytes
        bytes.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
        bytes.put_slice(text.as_bytes());
        put_optional(&mut bytes, origin.map(u64::to_le_bytes));
        put_optional(&mut bytes, chat.map(i64::to_le_bytes));
        head.put(&mut bytes);
        bytes.into()
    }
}
