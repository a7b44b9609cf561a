//! The last step of a pass: what was found becomes conditions. Pure: old status, report, ending and the time go in, the new
//! status comes out; nothing else decides what a user sees.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use telegram_webhook_crds::{ConditionType, PodsStatus, RegistrationStatus, TelegramWebhookStatus};

mod reason;

pub use self::reason::Reason;

/// One condition as this pass found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which concern.
    pub type_: ConditionType,
    /// Whether it is fine.
    pub fine: bool,
    /// Whether the resource is not ready as long as it isn't.
    pub needed: bool,
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
    /// Concerns that this resource doesn't have.
    pub unconcerned: Vec<ConditionType>,
}

/// Concerns that are always listed.
const CONCERNS: [ConditionType; 4] = [
    ConditionType::TokenValid,
    ConditionType::WebhookRegistered,
    ConditionType::SecretsDelivered,
    ConditionType::SidecarsReady,
];
/// Concerns that are listed once something is known of them.
const OPTIONAL_CONCERNS: [ConditionType; 3] =
    [ConditionType::SourceVisible, ConditionType::DeliveryHealthy, ConditionType::FallbackReady];

// === impl Report ===

impl Report {
    /// Notes a concern that is fine.
    pub fn fine(&mut self, type_: ConditionType, reason: Reason, message: impl Into<String>) {
        self.note(Finding { type_, fine: true, needed: true, reason, message: message.into() });
    }

    /// Notes a concern that isn't.
    pub fn bad(&mut self, type_: ConditionType, reason: Reason, message: impl Into<String>) {
        self.note(Finding { type_, fine: false, needed: true, reason, message: message.into() });
    }

    /// Notes a concern that isn't, though the resource may be ready all the same.
    pub fn doubtful(&mut self, type_: ConditionType, reason: Reason, message: impl Into<String>) {
        self.note(Finding { type_, fine: false, needed: false, reason, message: message.into() });
    }

    fn note(&mut self, finding: Finding) {
        self.findings.retain(|former| former.type_ != finding.type_);
        self.findings.push(finding);
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
    let optional = OPTIONAL_CONCERNS.into_iter().filter(|type_| {
        let known = report.findings.iter().any(|finding| finding.type_ == *type_);
        !report.unconcerned.contains(type_) && (known || conditions.former(*type_).is_some())
    });
    let concerns: Vec<_> = CONCERNS.into_iter().chain(optional).collect();
    for type_ in concerns {
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
