//! Checks how updates reach the CRM, and the Secrets that the CRM knows too.

mod broker;
mod secrets;

use std::ops::RangeInclusive;

use telegram_webhook_crds::{BackendSpec, DeliverySpec, EmbeddedSpec, TelegramWebhook};
use telegram_webhook_sidecar_config::{
    AnswerAfter, Backend, Consume, Delivery, DeliveryMode, Limits, Room, Secret,
    bounds::{
        BODY_BYTES, CONCURRENCY, DEAD_LETTER_RETENTION_HOURS, MAX_ATTEMPTS,
        MAX_RABBITMQ_DEAD_LETTER_RETENTION_HOURS, MAX_REPLY_METHOD_LENGTH, MAX_REPLY_METHODS, QUEUE_BYTES,
        UPSTREAM_TIMEOUT_SECONDS,
    },
};

use self::secrets::{labelled, own_signing_key, secret_token, signing_key};
use super::{limits::period, mistake::Mistakes};
use crate::{
    place::Place,
    reconcile::{dereference::Found, status::Reason},
};

const FIELD: &str = "spec.delivery";

/// What `spec.delivery` comes to.
#[derive(Debug, Clone, Default)]
pub struct ValidDelivery {
    /// All that the sidecar is told, but for the signing keys.
    pub delivery: Delivery,
    /// Seconds within which the CRM must have answered.
    pub timeout_seconds: u64,
    /// The key that deliveries are signed with; `None` if it has to be made.
    pub signing_key: Option<Secret>,
    /// Where pods must keep the queue, if they keep one.
    pub place: Option<Place>,
}

/// Checks `spec.delivery`.
pub fn delivery(webhook: &TelegramWebhook, found: &Found, mistakes: &mut Mistakes) -> ValidDelivery {
    let spec = &webhook.spec.delivery;
    let DeliverySpec {
        mode,
        answer_after,
        reply_methods,
        timeout,
        max_attempts,
        concurrency,
        secret_token_secret_ref,
        signing_secret_ref,
        dead_letter,
        backend: _,
    } = spec;
    combination(spec, mistakes);
    methods(reply_methods, mistakes);
    let seconds = |field: &str| (format!("{FIELD}.{field}"), Reason::DeliveryInvalid);
    let (field, reason) = seconds("timeout");
    let timeout_seconds = period((&field, reason), timeout, UPSTREAM_TIMEOUT_SECONDS, mistakes);
    let (field, reason) = seconds("deadLetter.retention");
    let hours = if spec.backend.as_ref().is_some_and(|backend| backend.rabbit_mq.is_some()) {
        MAX_RABBITMQ_DEAD_LETTER_RETENTION_HOURS
    } else {
        *DEAD_LETTER_RETENTION_HOURS.end()
    };
    let retention = period((&field, reason), &dead_letter.retention, 1..=hours * 3600, mistakes);
    if !retention.is_multiple_of(3600) {
        mistakes.push(
            reason,
            format!("{field}: {} is no number of hours; use such as 168h", dead_letter.retention.0),
        );
    }
    within("maxAttempts", max_attempts, &MAX_ATTEMPTS, mistakes);
    let concurrency = usize::try_from(*concurrency).unwrap_or(usize::MAX);
    within("concurrency", &concurrency, &CONCURRENCY, mistakes);
    let (backend, place) = backend(webhook, found, mistakes);
    let secret_token = secret_token_secret_ref.as_ref().and_then(|reference| {
        let text = labelled("secretTokenSecretRef", reference, found.secret_token.as_ref());
        mistakes.take(text.and_then(|text| secret_token(reference, text)))
    });
    let signing_key = mistakes.take(match signing_secret_ref {
        Some(reference) => labelled("signingSecretRef", reference, found.signing.as_ref())
            .and_then(|text| signing_key(reference, text))
            .map(Some),
        None => own_signing_key(webhook, found.signing.as_ref()),
    });
    let mut reply_methods = reply_methods.clone();
    reply_methods.sort_unstable();
    ValidDelivery {
        delivery: Delivery {
            mode: *mode,
            answer_after: *answer_after,
            reply_methods,
            backend,
            max_attempts: *max_attempts,
            concurrency,
            signing_keys: Vec::new(),
            secret_token,
            dead_letter_retention_hours: retention / 3600,
        },
        timeout_seconds,
        signing_key: signing_key.flatten(),
        place,
    }
}

/// What one of the two modes alone can do.
fn combination(spec: &DeliverySpec, mistakes: &mut Mistakes) {
    let mut push = |message: &str| mistakes.push(Reason::DeliveryInvalid, format!("{FIELD}.{message}"));
    match spec.mode {
        DeliveryMode::Queued if !spec.reply_methods.is_empty() => push(
            "replyMethods: with mode Queued Telegram has its answer before the CRM has the update; use mode Synchronous, or remove replyMethods",
        ),
        DeliveryMode::Queued
            if spec.answer_after == AnswerAfter::Delivered && is_consumed_elsewhere(spec) =>
        {
            push(
                "answerAfter: where the CRM takes updates out itself (consume Queue) the sidecar doesn't know when it has one; use Stored",
            );
        }
        DeliveryMode::Queued => {}
        DeliveryMode::Synchronous => {
            if spec.answer_after != AnswerAfter::Stored {
                push(
                    "answerAfter: with mode Synchronous Telegram always gets its answer after the CRM; remove answerAfter",
                );
            }
            if spec.backend.is_some() {
                push("backend: with mode Synchronous nothing is stored; use mode Queued, or remove backend");
            }
        }
    }
}

fn is_consumed_elsewhere(spec: &DeliverySpec) -> bool {
    let consume = spec.backend.as_ref().and_then(|BackendSpec { embedded: _, redis, rabbit_mq }| {
        let redis = redis.as_ref().map(|redis| redis.consume);
        redis.or_else(|| rabbit_mq.as_ref().map(|rabbit_mq| rabbit_mq.consume))
    });
    consume == Some(Consume::Queue)
}

fn methods(methods: &[String], mistakes: &mut Mistakes) {
    if methods.len() > MAX_REPLY_METHODS {
        let message = format!("{FIELD}.replyMethods: name at most {MAX_REPLY_METHODS}");
        mistakes.push(Reason::DeliveryInvalid, message);
    }
    let is_name = |name: &String| {
        (1..=MAX_REPLY_METHOD_LENGTH).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphabetic())
    };
    if let Some(wrong) = methods.iter().find(|name| !is_name(name)) {
        let message = format!(
            "{FIELD}.replyMethods: {wrong} is no method's name; use letters only, such as sendMessage"
        );
        mistakes.push(Reason::DeliveryInvalid, message);
    }
}

fn within<N: PartialOrd + std::fmt::Display>(
    field: &str,
    value: &N,
    bounds: &RangeInclusive<N>,
    mistakes: &mut Mistakes,
) {
    if !bounds.contains(value) {
        let message = format!("{FIELD}.{field}: must be from {} to {}", bounds.start(), bounds.end());
        mistakes.push(Reason::DeliveryInvalid, message);
    }
}

/// What is let in can be stored.
pub fn fits(webhook: &TelegramWebhook, limits: &Limits, delivery: &Delivery, mistakes: &mut Mistakes) {
    let Limits { max_body_bytes, .. } = limits;
    let is_longer = |longest: &usize| max_body_bytes > longest && BODY_BYTES.contains(max_body_bytes);
    let Some(longest) = delivery.longest_body().filter(is_longer) else {
        return;
    };
    let declared = webhook.spec.delivery.embedded().and_then(|EmbeddedSpec { size, .. }| size.bytes());
    let fits = |longest: usize| *max_body_bytes <= longest;
    let fix = if declared.is_some_and(|bytes| fits(Room::of(bytes).longest_body())) {
        ", or replace the pods: those there are have less room than spec.delivery.backend.embedded.size says"
    } else if fits(Room::longest_body_of_any()) {
        ", or raise spec.delivery.backend.embedded.size"
    } else {
        ""
    };
    let message = format!(
        "spec.limits.maxBodyBytes: must be at most {longest} bytes, which are the longest that such a queue can hold; lower it{fix}"
    );
    mistakes.push(Reason::LimitsInvalid, message);
}

/// Where updates wait. A queue is never told of more room than each pod has: one that exceeds its volume's limit is evicted, and
/// what it holds is gone.
fn backend(webhook: &TelegramWebhook, found: &Found, mistakes: &mut Mistakes) -> (Backend, Option<Place>) {
    if let Some(BackendSpec { embedded, redis, rabbit_mq }) = &webhook.spec.delivery.backend {
        if [embedded.is_some(), redis.is_some(), rabbit_mq.is_some()]
            .into_iter()
            .filter(|given| *given)
            .count()
            != 1
        {
            let message = format!(
                "{FIELD}.backend: name exactly one of embedded, redis and rabbitMq, such as embedded: {{}}"
            );
            mistakes.push(Reason::DeliveryInvalid, message);
            return (Backend::default(), None);
        }
        let shared = match (redis, rabbit_mq) {
            (Some(redis), _) => broker::redis(redis, &found.broker, mistakes),
            (None, Some(rabbit_mq)) => broker::rabbit_mq(rabbit_mq, &found.broker, mistakes),
            (None, None) => None,
        };
        if embedded.is_none() {
            return (shared.unwrap_or_default(), None);
        }
    }
    let Some(EmbeddedSpec { size, .. }) = webhook.spec.delivery.embedded() else {
        return (Backend::default(), None);
    };
    let Some(max_bytes) = size.bytes().filter(|bytes| QUEUE_BYTES.contains(bytes)) else {
        let message =
            format!("{FIELD}.backend.embedded.size: must be a size from 64Mi to 64Gi, such as 512Mi");
        mistakes.push(Reason::DeliveryInvalid, message);
        return (Backend::default(), None);
    };
    // those of another resource's fallback keep no queue
    let pods = found.pods.iter().filter(|pod| !pod.of_fallback);
    let sidecars = pods.filter_map(|pod| pod.sidecar.as_ref());
    let room = sidecars.filter_map(|sidecar| sidecar.place.as_ref()?.room).min();
    let max_bytes = room.unwrap_or(max_bytes).min(max_bytes);
    (Backend::Embedded { max_bytes }, Place::wanted(webhook))
}
