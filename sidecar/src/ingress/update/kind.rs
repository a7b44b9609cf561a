//! The kind of an update, whether we know it or not.

pub use telegram_webhook_sidecar_config::Kind;

/// A kind of update, whether we know it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedKind {
    Known(Kind),
    /// One that Telegram invented after us. Its name may be anything.
    Unknown,
}

// === impl NamedKind ===

impl NamedKind {
    /// Name in metrics and logs: one of few.
    pub fn label(self) -> &'static str {
        match self {
            Self::Known(kind) => kind.name(),
            Self::Unknown => "unknown",
        }
    }

    pub fn known(self) -> Option<Kind> {
        match self {
            Self::Known(kind) => Some(kind),
            Self::Unknown => None,
        }
    }
}
