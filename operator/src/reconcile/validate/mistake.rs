//! What can be wrong with a resource, as it is told to the user.

use telegram_webhook_crds::ConditionType;

use crate::reconcile::status::Reason;

/// The resource can't be registered as it is. Not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub Vec<Mistake>);

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its stable name.
    pub reason: Reason,
    /// Field and fix. Never a value of a Secret.
    pub message: String,
    /// The concern that it settles; the others keep their condition, since what works goes on working.
    pub concern: Option<ConditionType>,
    /// What has to happen.
    pub outlook: Outlook,
}

/// What has to happen for a mistake to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Somebody changes something.
    Lasting,
    /// It may well heal without a change of the resource, such as a Secret that another controller is about to make.
    Passing,
    /// Something answers again. Whether there is a mistake isn't known.
    Interrupted,
}

// === impl Invalid ===

impl Invalid {
    /// Name of the first mistake, in the order of the checks.
    pub fn reason(&self) -> Reason {
        self.0.first().map_or(Reason::InternalError, |mistake| mistake.reason)
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}", mistake.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

// === impl Mistake ===

impl Mistake {
    pub(super) fn lasting(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), concern: None, outlook: Outlook::Lasting }
    }

    pub(super) fn passing(reason: Reason, message: impl Into<String>) -> Self {
        Self { outlook: Outlook::Passing, ..Self::lasting(reason, message) }
    }

    pub(super) fn interrupted(reason: Reason, message: impl Into<String>) -> Self {
        Self { outlook: Outlook::Interrupted, ..Self::lasting(reason, message) }
    }

    pub(super) fn about(self, concern: ConditionType) -> Self {
        Self { concern: Some(concern), ..self }
    }
}

/// Collects, so that the user sees all mistakes at once.
#[derive(Default)]
pub(super) struct Mistakes(pub(super) Vec<Mistake>);

impl Mistakes {
    /// Notes one that only a change of the resource heals.
    pub(super) fn push(&mut self, reason: Reason, message: impl Into<String>) {
        self.0.push(Mistake::lasting(reason, message));
    }

    pub(super) fn take<T>(&mut self, result: Result<T, Mistake>) -> Option<T> {
        result.map_err(|mistake| self.0.push(mistake)).ok()
    }
}
