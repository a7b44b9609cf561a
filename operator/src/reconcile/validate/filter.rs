//! Checks which updates the CRM gets.

use telegram_webhook_crds::{FilterSpec, IdListSpec};
use telegram_webhook_sidecar_config::{
    Filter, IdList,
    bounds::{MAX_COMMAND_LENGTH, MAX_EXPRESSIONS},
};
use telegram_webhook_sidecar_expression::Expression;

use super::mistake::Mistakes;
use crate::reconcile::status::Reason;

const EXPRESSIONS: &str = "spec.filter.expressions";

/// Checks `spec.filter`. Lists that are sets come out sorted: another order is no other configuration, and nothing to tell
/// Telegram.
pub fn filter(spec: &FilterSpec, mistakes: &mut Mistakes) -> Filter {
    let FilterSpec { update_types, chat_types, chats, users, topics, content, commands, expressions } = spec;
    let mut wrong = |message: String| mistakes.push(Reason::FilterInvalid, message);
    let is_command = |command: &&String| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        (1..=MAX_COMMAND_LENGTH).contains(&command.len()) && command.bytes().all(allowed)
    };
    for command in commands.iter().filter(|command| !is_command(command)) {
        wrong(format!(
            "spec.filter.commands: {command} is no command; use 1 to {MAX_COMMAND_LENGTH} letters a-z, digits and _, without the slash"
        ));
    }
    if expressions.len() > MAX_EXPRESSIONS {
        wrong(format!("{EXPRESSIONS}: must be at most {MAX_EXPRESSIONS}; join some with &&"));
    } else {
        // a sidecar that starts with one that it can't use receives nothing at all
        for (index, compiled) in Expression::compile(expressions).into_iter().enumerate() {
            if let Err(reason) = compiled {
                wrong(format!("{EXPRESSIONS}[{index}]: {reason}"));
            }
        }
    }
    if topics.iter().any(|topic| *topic < 1) {
        wrong("spec.filter.topics: a topic's id is above 0; 1 is the General topic".to_owned());
    }
    Filter {
        update_types: set(update_types).iter().map(ToString::to_string).collect(),
        chat_types: set(chat_types),
        chats: ids("spec.filter.chats", chats, mistakes),
        users: ids("spec.filter.users", users, mistakes),
        topics: set(topics),
        content: set(content),
        commands: set(commands),
        expressions: expressions.clone(),
    }
}

fn ids(field: &str, spec: &IdListSpec, mistakes: &mut Mistakes) -> IdList {
    let ids = IdList { allow: set(&spec.allow), deny: set(&spec.deny) };
    if ids.allow.contains(&0) || ids.deny.contains(&0) {
        mistakes.push(Reason::FilterInvalid, format!("{field}: nobody has the id 0; take it out"));
    }
    if let Some(id) = ids.deny.iter().find(|id| ids.allow.binary_search(id).is_ok()) {
        let message = format!("{field}: {id} is allowed and denied; take it out of one of the two");
        mistakes.push(Reason::FilterInvalid, message);
    }
    ids
}

fn set<T: Ord + Clone>(list: &[T]) -> Vec<T> {
    let mut set = list.to_vec();
    set.sort_unstable();
    set.dedup();
    set
}
