//! Events on a TelegramWebhook: what happened to its webhook at Telegram, and mistakes as they appear. kube's recorder counts
//! repetitions by reason, so that reasons are distinct and notes don't vary.

use kube::{
    Client, Resource as _,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use telegram_webhook_crds::{FIELD_MANAGER, TelegramWebhook};

use crate::kubernetes::within;

/// The API allows 1024 bytes.
const MAX_NOTE: usize = 1000;

/// Publishes Events.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

/// Something worth an Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Normal or warning.
    pub warning: bool,
    /// Stable name.
    pub reason: String,
    /// What was being done.
    pub action: &'static str,
    /// For people; no secrets.
    pub note: String,
}

// === impl Notice ===

impl Notice {
    /// Something went as it should.
    pub fn normal(reason: &str, action: &'static str, note: impl Into<String>) -> Self {
        Self { warning: false, reason: reason.to_owned(), action, note: note.into() }
    }

    /// Somebody may want to look.
    pub fn warning(reason: impl Into<String>, action: &'static str, note: impl Into<String>) -> Self {
        Self { warning: true, reason: reason.into(), action, note: note.into() }
    }
}

// === impl Events ===

impl Events {
    /// Made once: what it has published is remembered in it.
    pub fn new(client: Client, pod_name: Option<String>) -> Self {
        let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: pod_name };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Publishes. A lost Event is no reason to fail: it says what the status says too.
    pub async fn publish(&self, webhook: &TelegramWebhook, notice: Notice) {
        let event = Event {
            type_: if notice.warning { EventType::Warning } else { EventType::Normal },
            reason: notice.reason,
            note: Some(notice.note.chars().take(MAX_NOTE).collect()),
            action: notice.action.to_owned(),
            secondary: None,
        };
        if let Err(error) = within(self.recorder.publish(&event, &webhook.object_ref(&()))).await {
            tracing::debug!(%error, reason = event.reason, "Event not published");
        }
    }
}
