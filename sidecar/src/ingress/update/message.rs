//! What is read of a message.

use telegram_webhook_sidecar_config::{Content, bounds::MAX_COMMAND_LENGTH};

use super::{
    Facts, Malformed,
    object::{Chat, Id, Present, Read, object},
    scanner::{Raw, Scanner},
};

/// Whether a message is a new version of one that was sent before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    No,
    Yes,
}

object! {
    /// A message, without those that it holds: what it answers to or what it was forwarded from is another chat's.
    pub(super) struct Message<'a> {
        b"chat" chat: Chat,
        b"from" from: Option<Id>,
        b"sender_chat" sender_chat: Option<Id>,
        b"date" date: Option<i64>,
        b"edit_date" edit_date: Option<i64>,
        b"message_thread_id" thread: Option<i64>,
        b"is_topic_message" in_topic: Option<bool>,
        b"text" text: Option<Raw<'a>>,
        b"caption" caption: Option<Raw<'a>>,
        b"entities" entities: Option<Entities<'a>>,
        b"caption_entities" caption_entities: Option<Entities<'a>>,
        b"photo" photo: Present,
        b"video" video: Present,
        b"video_note" video_note: Present,
        b"voice" voice: Present,
        b"audio" audio: Present,
        b"document" document: Present,
        b"animation" animation: Present,
        b"sticker" sticker: Present,
        b"contact" contact: Present,
        b"location" location: Present,
        b"venue" venue: Present,
        b"poll" poll: Present,
    }
}

object! {
    /// What a part of a text is, by UTF-16 units.
    struct Entity {
        b"type" kind: EntityKind,
        b"offset" offset: u32,
        b"length" length: u32,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EntityKind {
    BotCommand,
    Other,
}

/// The entities of a text. Few filters ask for commands, so these are looked for only then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entities<'a> {
    array: Raw<'a>,
    has_commands: bool,
}

/// What a message holds: one kind of content or several, none for what is no message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents(u16);

// === impl Message ===

impl<'a> Message<'a> {
    /// Makes the channel, in whose name posts are written, its author.
    pub(super) fn by_channel(mut self) -> Self {
        self.from = self.from.or_else(|| self.sender_chat.take());
        self
    }

    pub(super) fn facts(self, edit: Edit) -> Facts<'a> {
        let (text, entities) = match self.text {
            Some(_) => (self.text, self.entities),
            None => (self.caption, self.caption_entities),
        };
        Facts {
            chat: Some(self.chat.id),
            chat_type: Some(self.chat.kind),
            topic: self.chat.topic(self.thread, self.in_topic),
            poll: None,
            content: self.content(),
            user: self.from.map(|from| from.id),
            text,
            entities,
            date: if edit == Edit::Yes { self.edit_date.or(self.date) } else { self.date },
        }
    }

    fn content(&self) -> Contents {
        let has_command = self.entities.is_some_and(|entities| entities.has_commands);
        let contents = [
            (self.text.is_some() && !has_command, Content::Text),
            (self.text.is_some() && has_command, Content::Command),
            (self.photo.0, Content::Photo),
            (self.video.0, Content::Video),
            (self.video_note.0, Content::VideoNote),
            (self.voice.0, Content::Voice),
            (self.audio.0, Content::Audio),
            // Telegram sends an animation as a file as well, for clients that know no animations
            (self.document.0 && !self.animation.0, Content::Document),
            (self.animation.0, Content::Animation),
            (self.sticker.0, Content::Sticker),
            (self.contact.0, Content::Contact),
            (self.location.0 || self.venue.0, Content::Location),
            (self.poll.0, Content::Poll),
        ];
        let found = contents.into_iter().filter_map(|(has, content)| has.then_some(content));
        let found: Contents = found.collect();
        if found == Contents::default() { Contents::from_iter([Content::Other]) } else { found }
    }
}

// === impl Contents ===

impl Contents {
    pub fn holds(self, content: Content) -> bool {
        self.0 & bit(content) != 0
    }

    /// Whether there is any that both have.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Content> for Contents {
    fn from_iter<I: IntoIterator<Item = Content>>(contents: I) -> Self {
        Self(contents.into_iter().fold(0, |bits, content| bits | bit(content)))
    }
}

fn bit(content: Content) -> u16 {
    1 << (content as u16)
}

// === impl Entities ===

impl<'a> Read<'a> for Entities<'a> {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        let mut has_commands = false;
        let array = scanner.array(|scanner| {
            has_commands |= Entity::read(scanner)?.kind == EntityKind::BotCommand;
            Ok(())
        })?;
        Ok(Self { array, has_commands })
    }
}

impl Entities<'_> {
    /// The names of the commands in the text that these are the entities of.
    pub(super) fn commands(self, text: &str) -> Vec<String> {
        // they have been read before: this can't fail
        locate(text, self.read_commands().unwrap_or_default())
    }

    fn read_commands(self) -> Result<Vec<Entity>, Malformed> {
        let mut commands = Vec::new();
        if self.has_commands {
            self.array.scan().array(|scanner| {
                let entity = Entity::read(scanner)?;
                if entity.kind == EntityKind::BotCommand {
                    commands.push(entity);
                }
                Ok(())
            })?;
        }
        Ok(commands)
    }
}

impl<'a> Read<'a> for EntityKind {
    fn read(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        Ok(if *scanner.word()? == *b"bot_command" { Self::BotCommand } else { Self::Other })
    }
}

/// Finds the names of the commands in a text, in one walk. One that isn't where its entity says is left out.
fn locate(text: &str, mut commands: Vec<Entity>) -> Vec<String> {
    commands.sort_unstable_by_key(|command| command.offset);
    let mut found = Vec::with_capacity(commands.len());
    let mut units = 0;
    let mut rest = text.chars();
    for Entity { offset, length, .. } in commands {
        while units < u64::from(offset) {
            let Some(c) = rest.next() else { return found };
            units += units_of(c);
        }
        if units == u64::from(offset) {
            found.extend(name(rest.as_str(), length));
        }
    }
    found
}

/// The name in `/name@bot`, at the start of a text. Names are ASCII: there a UTF-16 unit is a byte. Of a name that is longer than any
/// that can be listed only as much is looked at as tells it from those: a text may say of itself that it is full of long ones.
fn name(text: &str, length: u32) -> Option<String> {
    let command = text.get(..usize::try_from(length).ok()?)?.strip_prefix('/')?.as_bytes();
    let command = command.get(..=MAX_COMMAND_LENGTH).unwrap_or(command);
    let name = command.split(|b| *b == b'@').next()?;
    let is_name = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    is_name.then(|| name.iter().copied().map(char::from).collect())
}

fn units_of(c: char) -> u64 {
    if c > '\u{ffff}' { 2 } else { 1 }
}
