//! How updates reach the CRM, checked.

use std::{collections::BTreeSet, time::Duration};

use http::HeaderValue;
use telegram_webhook_sidecar_config::{
    self as raw, AnswerAfter,
    bounds::{
        CONCURRENCY, DEAD_LETTER_RETENTION_HOURS, MAX_ATTEMPTS, MAX_RABBITMQ_DEAD_LETTER_RETENTION_HOURS,
        MAX_REPLY_METHODS, MAX_SIGNING_KEYS,
    },
};

use super::{
    backend::Backend,
    problem::Findings,
    rates::within,
    signature::{SigningKey, standard_key},
    webhook::{is_token, token_mistake},
};

/// How updates reach the CRM.
#[derive(Debug)]
pub struct Delivery {
    pub mode: DeliveryMode,
    /// Where updates wait, with mode `Queued`. None only together with a finding.
    pub backend: Option<Backend>,
    /// The same as the file has it, to tell whether it has changed.
    pub raw_backend: raw::Backend,
    /// Failed attempts after which an update is set aside.
    pub max_attempts: u32,
    /// Most updates that the CRM gets at the same time.
    pub concurrency: usize,
    /// Each delivery is signed with all of them.
    pub signing_keys: Vec<SigningKey>,
    /// What the CRM gets in place of Telegram's token. Its debug output doesn't show it.
    pub secret_token: Option<HeaderValue>,
    /// How long an update that was set aside is kept.
    pub dead_letter_retention: Duration,
}

/// Whether updates are stored.
#[derive(Debug, PartialEq, Eq)]
pub enum DeliveryMode {
    Queued { answer_after: AnswerAfter },
    Synchronous { reply_methods: ReplyMethods },
}

/// The Bot API methods that a CRM may call in its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyMethods(BTreeSet<String>);

/// What Telegram ignores in an answer, beside all that begins with `get`. In lower case.
const IGNORED_METHODS: [&str; 4] = ["setwebhook", "deletewebhook", "close", "logout"];

// === impl Delivery ===

impl Delivery {
    pub(super) fn parse(delivery: &raw::Delivery, findings: &mut Findings<'_>) -> Self {
        let raw::Delivery {
            mode,
            answer_after,
            reply_methods,
            backend,
            max_attempts,
            concurrency,
            signing_keys,
            secret_token,
            dead_letter_retention_hours: hours,
        } = delivery;
        let retention = retention(*hours, backend, findings);
        Self {
            mode: DeliveryMode::parse(*mode, *answer_after, reply_methods, findings),
            backend: Backend::parse(backend, findings),
            raw_backend: backend.clone(),
            max_attempts: within("delivery.maxAttempts", *max_attempts, MAX_ATTEMPTS, findings),
            concurrency: within("delivery.concurrency", *concurrency, CONCURRENCY, findings),
            signing_keys: keys(signing_keys, findings),
            secret_token: secret_token.as_ref().and_then(|token| header(token, findings)),
            // what doesn't fit was out of bounds
            dead_letter_retention: Duration::from_secs(retention.saturating_mul(3600)),
        }
    }
}

/// Hours for which dead letters are kept.
fn retention(hours: u64, backend: &raw::Backend, findings: &mut Findings<'_>) -> u64 {
    const FIELD: &str = "delivery.deadLetterRetentionHours";
    let most = MAX_RABBITMQ_DEAD_LETTER_RETENTION_HOURS;
    if matches!(backend, raw::Backend::RabbitMq(_)) && hours > most {
        findings
            .field(FIELD, format!("must be at most {most} with RabbitMq, whose stream keeps nothing longer"));
        return hours;
    }
    within(FIELD, hours, DEAD_LETTER_RETENTION_HOURS, findings)
}

fn keys(keys: &[raw::Secret], findings: &mut Findings<'_>) -> Vec<SigningKey> {
    if keys.len() > MAX_SIGNING_KEYS {
        findings.field("delivery.signingKeys", format!("must be at most {MAX_SIGNING_KEYS}"));
    }
    let parsed = keys.iter().enumerate().filter_map(|(index, raw::Secret(key))| {
        let mistake = |mistake: super::Mistake| {
            findings.field(format!("delivery.signingKeys[{index}]"), mistake.reason);
        };
        standard_key(key).map_err(mistake).ok()
    });
    parsed.collect()
}

fn header(raw::Secret(token): &raw::Secret, findings: &mut Findings<'_>) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(token).ok().filter(|_| is_token(token));
    if value.is_none() {
        findings.field("delivery.secretToken", token_mistake());
    }
    value.map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

// === impl DeliveryMode ===

impl DeliveryMode {
    fn parse(
        mode: raw::DeliveryMode,
        answer_after: AnswerAfter,
        reply_methods: &[String],
        findings: &mut Findings<'_>,
    ) -> Self {
        match mode {
            raw::DeliveryMode::Queued => {
                if !reply_methods.is_empty() {
                    let reason =
                        "is for mode Synchronous only, where the CRM's answer reaches Telegram: leave it out";
                    findings.field("delivery.replyMethods", reason);
                }
                Self::Queued { answer_after }
            }
            raw::DeliveryMode::Synchronous => {
                if answer_after != AnswerAfter::default() {
                    let reason = "is for mode Queued only, as nothing is stored otherwise: leave it out";
                    findings.field("delivery.answerAfter", reason);
                }
                Self::Synchronous { reply_methods: ReplyMethods::parse(reply_methods, findings) }
            }
        }
    }
}

// === impl ReplyMethods ===

impl ReplyMethods {
    fn parse(names: &[String], findings: &mut Findings<'_>) -> Self {
        if names.len() > MAX_REPLY_METHODS {
            findings.field("delivery.replyMethods", format!("must be at most {MAX_REPLY_METHODS}"));
        }
        let names = names.iter().enumerate().map(|(index, name)| {
            let name = name.to_ascii_lowercase();
            if let Some(reason) = mistake(&name) {
                findings.field(format!("delivery.replyMethods[{index}]"), reason);
            }
            name
        });
        Self(names.collect())
    }

    /// Whether the CRM may call this method; Telegram doesn't tell upper from lower case.
    pub fn allow(&self, method: &str) -> bool {
        self.0.contains(&method.to_ascii_lowercase())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is wrong with the name of a method, if anything.
fn mistake(lower: &str) -> Option<&'static str> {
    if lower.is_empty() || !lower.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Some("must be the name of a Bot API method, such as sendMessage: letters only");
    }
    let ignored = lower.starts_with("get") || IGNORED_METHODS.contains(&lower);
    ignored.then_some("is a method that Telegram ignores in an answer: leave it out")
}

#[cfg(test)]
mod tests;
