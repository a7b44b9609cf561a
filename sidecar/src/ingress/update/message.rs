//! What is read of a message.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use telegram_webhook_sidecar_config::Content;

use super::{
    Facts,
    object::{Chat, Id, Object, Present, Text},
};

/// Whether a message is a new version of one that was sent before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edit {
    No,
    Yes,
}

/// A message, without those that it holds: what it answers to or what it was forwarded from is another chat's.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    chat: Object<Chat>,
    from: Option<Object<Id>>,
    sender_chat: Option<Object<Id>>,
    date: Option<i64>,
    edit_date: Option<i64>,
    #[serde(rename = "message_thread_id")]
    thread: Option<i64>,
    #[serde(rename = "is_topic_message")]
    in_topic: Option<bool>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    caption: Option<Text<'a>>,
    #[serde(default)]
    entities: Option<Commands>,
    #[serde(default)]
    caption_entities: Option<Commands>,
    #[serde(default)]
    photo: Present,
    #[serde(default)]
    video: Present,
    #[serde(default)]
    video_note: Present,
    #[serde(default)]
    voice: Present,
    #[serde(default)]
    audio: Present,
    #[serde(default)]
    document: Present,
    #[serde(default)]
    animation: Present,
    #[serde(default)]
    sticker: Present,
    #[serde(default)]
    contact: Present,
    #[serde(default)]
    location: Present,
    #[serde(default)]
    venue: Present,
    #[serde(default)]
    poll: Present,
}

/// What a message holds: one kind of content or several, none for what is no message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents(u16);

/// The bot commands among the entities of a text.
#[derive(Default)]
struct Commands(Vec<Span>);

/// A part of a text, in UTF-16 units.
struct Span {
    offset: u32,
    length: u32,
}

#[derive(Deserialize)]
struct Entity<'a> {
    #[serde(rename = "type", borrow)]
    kind: Text<'a>,
    offset: u32,
    length: u32,
}

// === impl Message ===

impl<'a> Message<'a> {
    /// Makes the channel, in whose name posts are written, its author.
    pub(super) fn by_channel(mut self) -> Self {
        self.from = self.from.or_else(|| self.sender_chat.take());
        self
    }

    pub(super) fn facts(self, edit: Edit) -> Facts<'a> {
        let has_text = self.text.is_some();
        let content = self.content();
        let Object(chat) = self.chat;
        let (text, commands) =
            if has_text { (self.text, self.entities) } else { (self.caption, self.caption_entities) };
        let text = text.map(|Text(text)| text);
        let commands = commands.unwrap_or_default().0;
        Facts {
            chat: Some(chat.id),
            chat_type: Some(chat.kind),
            topic: chat.topic(self.thread, self.in_topic),
            user: self.from.map(|Object(from)| from.id),
            commands: locate(text.as_deref().unwrap_or_default(), commands),
            text,
            content,
            date: if edit == Edit::Yes { self.edit_date.or(self.date) } else { self.date },
        }
    }

    fn content(&self) -> Contents {
        let has_command = self.entities.as_ref().is_some_and(|Commands(spans)| !spans.is_empty());
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

// === impl Commands ===

impl<'de> Deserialize<'de> for Commands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntitiesVisitor)
    }
}

struct EntitiesVisitor;

impl<'de> Visitor<'de> for EntitiesVisitor {
    type Value = Commands;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entities")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entities: A) -> Result<Commands, A::Error> {
        let mut commands = Commands::default();
        while let Some(Object(entity)) = entities.next_element::<Object<Entity<'de>>>()? {
            let Entity { kind: Text(kind), offset, length } = entity;
            if kind == "bot_command" {
                commands.0.push(Span { offset, length });
            }
        }
        Ok(commands)
    }
}

/// Finds the names of the commands in a text, by bytes, in one walk. One that isn't where its entity says is left out.
fn locate(text: &str, mut commands: Vec<Span>) -> Vec<Range<usize>> {
    commands.sort_unstable_by_key(|span| span.offset);
    let mut found = Vec::with_capacity(commands.len());
    let mut units = 0;
    let mut rest = text.char_indices();
    for Span { offset, length } in commands {
        while units < u64::from(offset) {
            let Some((_, c)) = rest.next() else { return found };
            units += units_of(c);
        }
        let start = rest.offset();
        if units == u64::from(offset) {
            found.extend(name(text.get(start..).unwrap_or_default(), length, start));
        }
    }
    found
}

/// The name in `/name@bot`, at the start of a text that begins at `start`. Names are ASCII: there a UTF-16 unit is a byte.
fn name(text: &str, length: u32, start: usize) -> Option<Range<usize>> {
    let command = text.get(..usize::try_from(length).ok()?)?.strip_prefix('/')?;
    let name = command.split('@').next()?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then(|| start + 1..start + 1 + name.len())
}

fn units_of(c: char) -> u64 {
    if c > '\u{ffff}' { 2 } else { 1 }
}
