//! The shapes that the fields of an update come in.

use telegram_webhook_sidecar_config::ChatType;

use super::{
    ChatKind, Malformed,
    scanner::{Raw, Scanner},
};

/// What is read of a JSON value.
pub(super) trait Read<'a>: Sized {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed>;

    /// What a field is that isn't there.
    fn missing() -> Result<Self, Malformed> {
        Err(Malformed::Incomplete)
    }
}

/// Makes a struct that is read of an object by the names of its fields, each at most once. Fields that it doesn't name are skipped.
macro_rules! object {
    (
        $(#[$doc:meta])*
        $access:vis struct $object:ident $(<$life:lifetime>)? {
            $($(#[$field_doc:meta])* $name:literal $field_access:vis $field:ident: $value:ty,)*
        }
    ) => {
        $(#[$doc])*
        $access struct $object $(<$life>)? {
            $($(#[$field_doc])* $field_access $field: $value,)*
        }

        impl<'a> $crate::ingress::update::object::Read<'a> for $object $(<$life>)? {
            fn read(
                scanner: &mut $crate::ingress::update::scanner::Scanner<'a>,
            ) -> Result<Self, $crate::ingress::update::Malformed> {
                use $crate::ingress::update::object::{Read, read_once};
                $(let mut $field = None;)*
                scanner.object(|scanner, name| match name {
                    $($name => read_once(&mut $field, scanner),)*
                    _ => scanner.skip(),
                })?;
                Ok(Self { $($field: $field.map_or_else(<$value as Read<'a>>::missing, Ok)?,)* })
            }
        }
    };
}
pub(super) use object;

/// Reads the value of a field that may be there once.
pub(super) fn read_once<'a, T: Read<'a>>(
    field: &mut Option<T>,
    scanner: &mut Scanner<'a>,
) -> Result<(), Malformed> {
    if field.is_some() {
        return Err(Malformed::DuplicateField);
    }
    *field = Some(T::read(scanner)?);
    Ok(())
}

/// Whether a field is there, whatever it holds; `null` is not there.
#[derive(Clone, Copy)]
pub(super) struct Present(pub(super) bool);

object! {
    /// A user, or anything else that only its id is read of.
    pub(super) struct Id {
        b"id" pub(super) id: i64,
    }
}

object! {
    /// A chat.
    pub(super) struct Chat {
        b"id" pub(super) id: i64,
        b"type" pub(super) kind: ChatKind,
        b"is_forum" is_forum: Option<bool>,
    }
}

/// Id of the topic that a forum has without anybody making it.
const GENERAL_TOPIC: i64 = 1;

// === impl Chat ===

impl Chat {
    /// The topic of a message in this chat. A thread is a topic only in a forum: elsewhere it is a chain of replies.
    pub(super) fn topic(&self, thread: Option<i64>, is_topic_message: Option<bool>) -> Option<i64> {
        match (self.is_forum, is_topic_message) {
            (Some(true), _) => Some(thread.unwrap_or(GENERAL_TOPIC)),
            (_, Some(true)) => thread,
            _ => None,
        }
    }
}

// === impl Read ===

impl<'a, T: Read<'a>> Read<'a> for Option<T> {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        match scanner.peek() {
            Some(b'n') => scanner.literal(b"null").map(|()| None),
            _ => T::read(scanner).map(Some),
        }
    }

    fn missing() -> Result<Self, Malformed> {
        Ok(None)
    }
}

impl<'a> Read<'a> for Present {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        let is_there = scanner.peek() != Some(b'n');
        scanner.skip().map(|()| Self(is_there))
    }

    fn missing() -> Result<Self, Malformed> {
        Ok(Self(false))
    }
}

impl<'a> Read<'a> for Raw<'a> {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        scanner.text()
    }
}

impl<'a> Read<'a> for i64 {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        scanner.integer()
    }
}

impl<'a> Read<'a> for u32 {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        Self::try_from(scanner.integer()?).map_err(|_| Malformed::WrongType)
    }
}

impl<'a> Read<'a> for bool {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        scanner.bool()
    }
}

impl<'a> Read<'a> for ChatKind {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        Ok(match &*scanner.word()? {
            // an inline query's word for the chat of its sender with the bot
            b"private" | b"sender" => Self::Known(ChatType::Private),
            b"group" => Self::Known(ChatType::Group),
            b"supergroup" => Self::Known(ChatType::Supergroup),
            b"channel" => Self::Known(ChatType::Channel),
            _ => Self::Unknown,
        })
    }
}
