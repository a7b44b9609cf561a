//! How a delivery fails.

use http::StatusCode;

use super::{super::backoff::RetryAfter, connection::Refused};

/// Why the CRM doesn't have the update for sure.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("the CRM can't be reached")]
    Unreachable,
    #[error("the connection to the CRM broke")]
    Broken,
    #[error("the CRM didn't answer in time")]
    Timeout,
    #[error("the CRM answered {}", status.as_u16())]
    Status {
        status: StatusCode,
        /// When it wants to be asked again, if it says so.
        retry_after: Option<RetryAfter>,
    },
}

/// Of the CRM's access, path or method (401, 403, 404, 405, 407, 410), or of the moment (408, 409, 423, 425, 429).
const NOT_THE_UPDATES_FAULT: [u16; 11] = [401, 403, 404, 405, 407, 408, 409, 410, 423, 425, 429];

// === impl DeliveryError ===

impl DeliveryError {
    /// The status by which the CRM says that it will never take the update. Others of 4xx say that it will later, or that it isn't
    /// where it is looked for or doesn't know who asks, which is nothing that the update could help.
    pub fn refusal(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(status.as_u16())
                .filter(|status| (400..500).contains(status) && !NOT_THE_UPDATES_FAULT.contains(status)),
            Self::Unreachable | Self::Broken | Self::Timeout => None,
        }
    }

    /// When the CRM wants to be asked again, if it says so.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Unreachable | Self::Broken | Self::Timeout => None,
        }
    }

    /// Name in metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable => "crm_unreachable",
            Self::Broken => "crm_broken",
            Self::Timeout => "crm_timeout",
            Self::Status { .. } => "crm_status",
        }
    }
}

impl From<Refused> for DeliveryError {
    fn from(Refused: Refused) -> Self {
        Self::Unreachable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16) -> Option<u16> {
        let status = StatusCode::from_u16(status).unwrap();
        DeliveryError::Status { status, retry_after: None }.refusal()
    }

    #[test]
    fn only_what_is_the_updates_own_fault_is_for_good() {
        for status in [400, 402, 406, 411, 413, 415, 418, 422, 451, 499] {
            assert_eq!(refusal(status), Some(status));
        }
        for status in [301, 304, 401, 403, 404, 405, 407, 408, 409, 410, 423, 425, 429, 500, 503, 599] {
            assert_eq!(refusal(status), None, "{status}");
        }
        for error in [DeliveryError::Unreachable, DeliveryError::Broken, DeliveryError::Timeout] {
            assert_eq!(error.refusal(), None);
        }
    }
}
