//! Checks a filter's configuration.

use std::{collections::HashSet, hash::Hash};

use telegram_webhook_sidecar_config::{self as raw, bounds::MAX_COMMAND_LENGTH};

use super::{Filter, Ids, KindSet, expression::Expressions};
use crate::{config::Findings, ingress::update::Kind};

/// More than this is a database, not a filter.
const MAX_ENTRIES: usize = 1000;

impl Filter {
    /// Checks a filter and reports all that is wrong with it.
    pub(crate) fn parse(filter: &raw::Filter, findings: &mut Findings<'_>) -> Self {
        let raw::Filter { update_types, chat_types, chats, users, topics, content, commands, expressions } =
            filter;
        list("filter.chatTypes", chat_types, findings);
        list("filter.topics", topics, findings);
        list("filter.content", content, findings);
        for (index, _) in topics.iter().enumerate().filter(|(_, topic)| **topic < 1) {
            findings.field(format!("filter.topics[{index}]"), "must be above 0");
        }
        Self {
            update_types: kinds(update_types, findings),
            chat_types: chat_types.iter().fold(0, |bits, chat_type| bits | 1 << (*chat_type as u8)),
            chats: ids("filter.chats", chats, findings),
            users: ids("filter.users", users, findings),
            topics: sorted(topics),
            content: content.iter().copied().collect(),
            commands: self::commands(commands, findings),
            expressions: Expressions::parse(expressions, findings),
        }
    }
}

/// A list that is too long, or holds something twice, is a mistake.
fn list<T: Hash + Eq>(field: &str, entries: &[T], findings: &mut Findings<'_>) {
    if entries.len() > MAX_ENTRIES {
        findings.field(field, format!("must be at most {MAX_ENTRIES}"));
    }
    let mut seen = HashSet::new();
    for (index, _) in entries.iter().enumerate().filter(|(_, entry)| !seen.insert(*entry)) {
        findings.field(format!("{field}[{index}]"), "is there twice");
    }
}

/// A name that we don't know is a typing error, which would drop what it means without a word, or is newer than we are.
fn kinds(names: &[String], findings: &mut Findings<'_>) -> KindSet {
    list("filter.updateTypes", names, findings);
    let mut bits = 0;
    for (index, name) in names.iter().enumerate() {
        if let Some(kind) = Kind::parse(name) {
            bits |= 1 << (kind as u32);
        } else {
            let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            findings.field(
                format!("filter.updateTypes[{index}]"),
                format!("must be one of {}", known.join(", ")),
            );
        }
    }
    KindSet(bits)
}

fn ids(field: &str, ids: &raw::IdList, findings: &mut Findings<'_>) -> Ids {
    let raw::IdList { allow, deny } = ids;
    for (name, list) in [("allow", allow), ("deny", deny)] {
        self::list(&format!("{field}.{name}"), list, findings);
        for (index, _) in list.iter().enumerate().filter(|(_, id)| **id == 0) {
            findings.field(format!("{field}.{name}[{index}]"), "must not be 0");
        }
    }
    let ids = Ids { allow: sorted(allow), deny: sorted(deny) };
    for (index, id) in deny.iter().enumerate() {
        if ids.allow.binary_search(id).is_ok() {
            findings.field(format!("{field}.deny[{index}]"), "is allowed as well");
        }
    }
    ids
}

fn sorted(ids: &[i64]) -> Box<[i64]> {
    let mut ids: Box<[i64]> = ids.into();
    ids.sort_unstable();
    ids
}

fn commands(commands: &[String], findings: &mut Findings<'_>) -> Box<[String]> {
    list("filter.commands", commands, findings);
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    for (index, command) in commands.iter().enumerate() {
        if !(1..=MAX_COMMAND_LENGTH).contains(&command.len()) || !command.bytes().all(allowed) {
            let reason = format!("must be 1 to {MAX_COMMAND_LENGTH} of a-z, 0-9 and _, without the slash");
            findings.field(format!("filter.commands[{index}]"), reason);
        }
    }
    commands.into()
}
