//! How a delivery fails.

use http::StatusCode;

use super::connection::Refused;

/// Why the CRM doesn't have the update for sure.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("the CRM can't be reached")]
    Unreachable,
    #[error("the connection to the CRM broke")]
    Broken,
    #[error("the CRM didn't answer in time")]
    Timeout,
    #[error("the CRM answered {}", .0.as_u16())]
    Status(StatusCode),
}

// === impl DeliveryError ===

impl DeliveryError {
    /// Name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable => "crm_unreachable",
            Self::Broken => "crm_broken",
            Self::Timeout => "crm_timeout",
            Self::Status(_) => "crm_status",
        }
    }
}

impl From<Refused> for DeliveryError {
    fn from(Refused: Refused) -> Self {
        Self::Unreachable
    }
}
