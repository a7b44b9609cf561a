//! What was set aside, because nobody could take it.

use std::{fmt, ops::Range, str::FromStr, time::SystemTime};

use super::Update;

/// An update that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub id: DeadLetterId,
    pub reason: Reason,
    /// When it was set aside, to the millisecond.
    pub at: SystemTime,
    pub update: Update,
}

/// Names an update that was set aside; later ones are greater. Written as two numbers with a hyphen between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId {
    /// As the queue counts; milliseconds of Unix time where it doesn't.
    pub major: u64,
    pub minor: u64,
}

/// Why an update was set aside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It isn't what Telegram sends: the text says what is wrong, and nothing of it.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The CRM said that it will never take it.
    #[error("refused by the CRM with {0}")]
    Refused(u16),
    /// The CRM took others and not this one. The last failure, as [`crate::delivery::DeliveryError`] says it.
    #[error("given up after {attempts} attempts: {last}")]
    Exhausted { attempts: u32, last: String },
}

/// Which dead letters; all conditions hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of that chat, or of that user where there is no chat.
    pub chat: Option<i64>,
    /// Set aside within that time.
    pub at: Option<Range<SystemTime>>,
}

// === impl Selection ===

impl Selection {
    /// Whether an update of that chat that was set aside at that time is selected; the chat as [`Update::chat`] tells it.
    pub fn takes(&self, chat: Option<i64>, at: SystemTime) -> bool {
        let Self { chat: of_chat, at: within } = self;
        let is_of_chat = of_chat.is_none_or(|of_chat| chat == Some(of_chat));
        is_of_chat && within.as_ref().is_none_or(|within| within.contains(&at))
    }
}

// === impl DeadLetterId ===

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

impl FromStr for DeadLetterId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "must be two numbers with a hyphen between, as the list shows them";
        let (major, minor) = text.split_once('-').ok_or(wrong)?;
        Ok(Self { major: major.parse().map_err(|_| wrong)?, minor: minor.parse().map_err(|_| wrong)? })
    }
}
