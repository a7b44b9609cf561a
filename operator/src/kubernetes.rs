//! Calls of the Kubernetes API: each has a deadline, because kube's own client would wait and retry for many minutes, and
//! errors that are fit for a status: no object's content, nothing that differs from one attempt to the next.

use std::time::Duration;

/// No call of ours is that slow on a healthy API server.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer in time.
    #[error("no answer from the Kubernetes API in time")]
    Timeout,
    /// The API server said no.
    #[error("the Kubernetes API answered {code} {reason}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Kubernetes' own word for it, such as `Forbidden`.
        reason: String,
    },
    /// Connection, TLS, credentials.
    #[error("the Kubernetes API can't be reached")]
    Unreachable,
    /// Anything else, an unreadable answer above all.
    #[error("the Kubernetes API's answer can't be read")]
    Unreadable,
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused { code: status.code, reason: status.reason.clone() },
            error @ (kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::Auth(_)) => {
                tracing::debug!(%error, "the Kubernetes API can't be reached");
                Self::Unreachable
            }
            // these may quote what was read, which may be a Secret
            _ => Self::Unreadable,
        }
    }
}

impl Error {
    /// The object isn't there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Somebody else changed or made the object first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }
}

/// Waits for `call`, but not for long.
pub async fn within<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Error> {
    match tokio::time::timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result.map_err(Error::from),
        Err(_) => Err(Error::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_refusal_is_told_without_what_it_quotes() {
        let status = Status::failure("Secret is invalid: data: SECRET", "Invalid").with_code(422);
        let error = Error::from(kube::Error::Api(status.boxed()));
        assert_eq!(error.to_string(), "the Kubernetes API answered 422 Invalid");
        assert!(!error.is_conflict() && !error.is_not_found());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_is_given_up() {
        assert_eq!(within::<()>(std::future::pending()).await, Err(Error::Timeout));
    }
}
