//! The last step of a pass: what was found becomes conditions. Pure: old status, report, ending and the time go in, the new
//! status comes out; nothing else decides what a user sees.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use telegram_webhook_crds::{ConditionType, PodsStatus, RegistrationStatus, TelegramWebhookStatus};

/// Every reason that a condition or an Event can carry. They are API: alerts and scripts match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing is known yet.
    Pending,
    /// `spec.suspend` is true.
    Suspended,
    /// Ready: everything is in place.
    Registered,
    /// The Bot API server accepts the token.
    TokenAccepted,
    /// Telegram has the webhook that the resource declares.
    WebhookSet,
    /// The sidecars have loaded the current secret and path.
    SecretsLoaded,
    /// Pods are ready to receive.
    PodsReady,

    /// The Secret with the token isn't there.
    TokenSecretNotFound,
    /// The Secret lacks the label that allows its use.
    TokenSecretNotLabelled,
    /// The Secret lacks the key.
    TokenKeyNotFound,
    /// The value is no token.
    TokenMalformed,
    /// The Bot API server doesn't know the token.
    TokenRejected,
    /// The Bot API server isn't among the allowed ones.
    ApiServerNotAllowed,
    /// Another resource has this bot.
    DuplicateBot,
    /// Telegram doesn't deliver to this port.
    PortNotAllowed,
    /// The host has no address.
    HostNotResolved,
    /// The cluster's DNS doesn't answer.
    DnsUnavailable,
    /// The host has no IPv4 address.
    HostIpv6Only,
    /// An address that Telegram refuses.
    AddressReserved,
    /// `spec.endpoint.ipAddress` is no IPv4 address.
    AddressInvalid,
    /// The Secret with the certificate isn't there.
    TlsSecretNotFound,
    /// The Secret lacks `tls.crt` or `tls.key`.
    TlsSecretIncomplete,
    /// The certificate or the key can't be read.
    CertificateUnreadable,
    /// The certificate is no longer valid.
    CertificateExpired,
    /// The certificate isn't valid yet.
    CertificateNotYetValid,
    /// The certificate is for other names.
    CertificateNameMismatch,
    /// The key is another certificate's.
    CertificateKeyMismatch,
    /// A child's name is taken by an object of somebody else.
    ChildNotOurs,
    /// The operator's own Secret was changed into something it can't read.
    ChildUnreadable,

    /// No pod matches the selector.
    NoPodsSelected,
    /// Selected pods run without the sidecar.
    SidecarMissing,
    /// Selected pods were started before this resource, or with another certificate's Secret.
    SidecarOutdated,
    /// No selected pod is ready.
    PodsNotReady,
    /// A sidecar hasn't loaded the current configuration yet.
    SecretsNotLoaded,
    /// A sidecar doesn't serve the current certificate yet.
    CertificateNotLoaded,

    /// Telegram refused the webhook.
    RegistrationRefused,
    /// It isn't known whether Telegram took the webhook.
    RegistrationUnconfirmed,
    /// Telegram asks for patience.
    RateLimited,
    /// The Bot API server doesn't answer.
    BotApiUnavailable,
    /// The Kubernetes API refuses or doesn't answer.
    KubernetesApiFailed,
    /// The operator's own fault: no randomness, for example.
    InternalError,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One condition as this pass found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which concern.
    pub type_: ConditionType,
    /// Whether it is fine.
    pub fine: bool,
    /// Why.
    pub reason: Reason,
    /// For people: names the field and the fix. Must read the same as long as nothing changes.
    pub message: String,
}

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All is in place.
    Ready,
    /// `spec.suspend`.
    Suspended,
    /// Not ready, but what is missing is expected to come.
    Waiting(Reason, String),
    /// Not ready, and somebody has to change something.
    Stalled(Reason, String),
    /// Something didn't answer. What worked before is taken to work still.
    Interrupted(Reason, String),
}

/// What a pass has found so far. Concerns that it didn't get to keep their old condition.
#[derive(Debug, Default)]
pub struct Report {
    /// Conditions of single concerns.
    pub findings: Vec<Finding>,
    /// What is registered, if this pass knows.
    pub registration: Option<RegistrationStatus>,
    /// The pods, if this pass looked.
    pub pods: Option<PodsStatus>,
}

/// Concerns that are always listed.
const CONCERNS: [ConditionType; 4] = [
    ConditionType::TokenValid,
    ConditionType::WebhookRegistered,
    ConditionType::SecretsDelivered,
    ConditionType::SidecarsReady,
];

// === impl Report ===

impl Report {
    /// Notes a concern that is fine.
    pub fn fine(&mut self, type_: ConditionType, reason: Reason, message: impl Into<String>) {
        self.note(type_, true, reason, message.into());
    }

    /// Notes a concern that isn't.
    pub fn bad(&mut self, type_: ConditionType, reason: Reason, message: impl Into<String>) {
        self.note(type_, false, reason, message.into());
    }

    fn note(&mut self, type_: ConditionType, fine: bool, reason: Reason, message: String) {
        self.findings.retain(|finding| finding.type_ != type_);
        self.findings.push(Finding { type_, fine, reason, message });
    }
}

/// The status after a pass over `generation`.
pub fn compute(
    old: &TelegramWebhookStatus,
    generation: i64,
    report: &Report,
    ending: &Ending,
    now: Timestamp,
) -> TelegramWebhookStatus {
    let mut conditions = Builder { old: &old.conditions, new: Vec::new(), generation, now };
    summary(&mut conditions, ending);
    for type_ in CONCERNS {
        match report.findings.iter().find(|finding| finding.type_ == type_) {
            Some(found) => conditions.set(type_, bool_status(found.fine), found.reason, &found.message),
            None => conditions.keep(type_),
        }
    }
    TelegramWebhookStatus {
        observed_generation: generation,
        conditions: conditions.new,
        registration: report.registration.clone().or_else(|| old.registration.clone()),
        pods: report.pods.clone().or_else(|| old.pods.clone()),
    }
}

/// Ready, and at most one of Reconciling and Stalled: kstatus takes the first of the two that it finds.
fn summary(conditions: &mut Builder<'_>, ending: &Ending) {
    use ConditionType::{Ready, Reconciling, Stalled};
    match ending {
        Ending::Ready => conditions.set(
            Ready,
            "True",
            Reason::Registered,
            "Telegram delivers to this address, and pods are ready to receive",
        ),
        Ending::Suspended => conditions.set(
            Ready,
            "False",
            Reason::Suspended,
            "spec.suspend is true: nothing is changed until it is false",
        ),
        Ending::Waiting(reason, message) => {
            conditions.set(Ready, "False", *reason, message);
            conditions.set(Reconciling, "True", *reason, message);
        }
        Ending::Stalled(reason, message) => {
            conditions.set(Ready, "False", *reason, message);
            conditions.set(Stalled, "True", *reason, message);
        }
        Ending::Interrupted(reason, message) => {
            if conditions.was(Ready, "True") {
                conditions.keep(Ready);
            } else {
                conditions.set(Ready, "False", *reason, message);
            }
            conditions.set(Reconciling, "True", *reason, message);
        }
    }
}

fn bool_status(fine: bool) -> &'static str {
    if fine { "True" } else { "False" }
}

/// Makes the new list from the old one.
struct Builder<'a> {
    old: &'a [Condition],
    new: Vec<Condition>,
    generation: i64,
    now: Timestamp,
}

impl Builder<'_> {
    fn former(&self, type_: ConditionType) -> Option<&Condition> {
        let type_ = type_.to_string();
        self.old.iter().find(|condition| condition.type_ == type_)
    }

    fn was(&self, type_: ConditionType, status: &str) -> bool {
        self.former(type_).is_some_and(|old| old.status == status)
    }

    fn set(&mut self, type_: ConditionType, status: &str, reason: Reason, message: &str) {
        // the time is that of the last change of the status, not of the reason
        let since =
            self.former(type_).filter(|old| old.status == status).map(|old| old.last_transition_time.clone());
        self.new.push(Condition {
            type_: type_.to_string(),
            status: status.to_owned(),
            reason: reason.to_string(),
            message: message.to_owned(),
            observed_generation: Some(self.generation),
            last_transition_time: since.unwrap_or(Time(self.now)),
        });
    }

    fn keep(&mut self, type_: ConditionType) {
        match self.former(type_).cloned() {
            Some(old) => self.new.push(old),
            None => self.set(type_, "Unknown", Reason::Pending, "not looked at yet"),
        }
    }
}

#[cfg(test)]
mod tests;
