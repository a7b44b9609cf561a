//! Which updates the CRM gets. Every condition has to hold; where an update has nothing that a condition is about, it holds.

mod expression;
mod parse;
mod tree;

use std::fmt;

use self::expression::Expressions;
use super::update::{ChatKind, Contents, Facts, NamedKind, Update};

/// A webhook's filter, checked. `None` and an empty list are no condition.
pub struct Filter {
    update_types: KindSet,
    /// By [`telegram_webhook_sidecar_config::ChatType`], as bits.
    chat_types: u8,
    chats: Ids,
    users: Ids,
    topics: Box<[i64]>,
    content: Contents,
    commands: Box<[String]>,
    expressions: Expressions,
}

/// Kinds of updates, as bits; 0 is any.
#[derive(Clone, Copy, Default)]
struct KindSet(u32);

/// Ids, both sorted.
struct Ids {
    allow: Box<[i64]>,
    deny: Box<[i64]>,
}

/// What becomes of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Forward,
    Drop(Rule),
}

/// A condition that doesn't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    UpdateType,
    ChatType,
    Chat,
    User,
    Topic,
    Content,
    Command,
    /// The expression at this index is false.
    Expression(usize),
    /// The expression at this index has no value for this update, such as when it reads a field that isn't there.
    ExpressionError(usize),
    /// Finding out whether the expression at this index holds would take too long.
    ExpressionCost(usize),
}

// === impl Filter ===

impl Filter {
    /// Judges an update. `body` is what it was read from.
    pub fn judge(&self, update: &Update<'_>, body: &[u8]) -> Verdict {
        self.refusing_rule(update, body).map_or(Verdict::Forward, Verdict::Drop)
    }

    fn refusing_rule(&self, update: &Update<'_>, body: &[u8]) -> Option<Rule> {
        let Update { kind, facts, .. } = update;
        Some(if !self.update_types.lets(*kind) {
            Rule::UpdateType
        } else if !self.lets_chat_type(facts.chat_type) {
            Rule::ChatType
        } else if !self.chats.let_through(facts.chat) {
            Rule::Chat
        } else if !self.users.let_through(facts.user) {
            Rule::User
        } else if !self.lets_topic(facts.topic) {
            Rule::Topic
        } else if !self.lets_content(facts.content) {
            Rule::Content
        } else if !self.lets_commands(facts) {
            Rule::Command
        } else {
            return self.expressions.refusing_rule(body);
        })
    }

    fn lets_chat_type(&self, chat_type: Option<ChatKind>) -> bool {
        self.chat_types == 0
            || match chat_type {
                None => true,
                Some(ChatKind::Known(chat_type)) => self.chat_types & (1 << (chat_type as u8)) != 0,
                Some(ChatKind::Unknown) => false,
            }
    }

    fn lets_topic(&self, topic: Option<i64>) -> bool {
        self.topics.is_empty() || topic.is_none_or(|topic| self.topics.binary_search(&topic).is_ok())
    }

    fn lets_content(&self, content: Contents) -> bool {
        self.content.is_empty() || content.is_empty() || self.content.intersects(content)
    }

    /// One that is listed is enough: whatever a user writes with a slash, such as a path, looks like a command.
    fn lets_commands(&self, facts: &Facts<'_>) -> bool {
        if self.commands.is_empty() {
            return true;
        }
        let listed =
            |command: &String| self.commands.iter().any(|listed| listed.eq_ignore_ascii_case(command));
        let commands = facts.commands();
        commands.is_empty() || commands.iter().any(listed)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

// === impl KindSet ===

impl KindSet {
    fn lets(self, kind: NamedKind) -> bool {
        self.0 == 0 || kind.known().is_some_and(|kind| self.0 & (1 << (kind as u32)) != 0)
    }
}

// === impl Ids ===

impl Ids {
    fn let_through(&self, id: Option<i64>) -> bool {
        id.is_none_or(|id| {
            let allowed = self.allow.is_empty() || self.allow.binary_search(&id).is_ok();
            allowed && self.deny.binary_search(&id).is_err()
        })
    }
}

// === impl Rule ===

impl Rule {
    /// Name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::UpdateType => "filtered_update_type",
            Self::ChatType => "filtered_chat_type",
            Self::Chat => "filtered_chat",
            Self::User => "filtered_user",
            Self::Topic => "filtered_topic",
            Self::Content => "filtered_content",
            Self::Command => "filtered_command",
            Self::Expression(_) => "filtered_expression",
            Self::ExpressionError(_) => "filtered_expression_error",
            Self::ExpressionCost(_) => "filtered_expression_cost",
        }
    }
}

/// The field of the configuration that says so.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpdateType => f.write_str("filter.updateTypes"),
            Self::ChatType => f.write_str("filter.chatTypes"),
            Self::Chat => f.write_str("filter.chats"),
            Self::User => f.write_str("filter.users"),
            Self::Topic => f.write_str("filter.topics"),
            Self::Content => f.write_str("filter.content"),
            Self::Command => f.write_str("filter.commands"),
            Self::Expression(index) => write!(f, "filter.expressions[{index}]"),
            Self::ExpressionError(index) => write!(f, "filter.expressions[{index}] has no value"),
            Self::ExpressionCost(index) => write!(f, "filter.expressions[{index}] costs too much"),
        }
    }
}

#[cfg(test)]
mod tests;
