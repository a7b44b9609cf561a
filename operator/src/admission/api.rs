//! Calls of the API server, for errors that a person reads: an answer's message without its wrapping, and a time limit.

use std::time::Duration;

/// How a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("{}", message(.0))]
    Kube(#[from] kube::Error),
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl ApiError {
    /// Whether somebody else changed or made the object first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.code == 409)
    }
}

/// Waits for `call`, but not longer than `limit`.
pub async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(ApiError::Timeout(limit)),
    }
}

/// kube shows an API server's answer as its message followed by the whole structure.
fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_answer_is_shown_by_its_message_alone() {
        let status = Status::failure("secrets is forbidden", "Forbidden").with_code(403);
        let error = ApiError::Kube(kube::Error::Api(status.boxed()));
        assert_eq!(error.to_string(), "secrets is forbidden");
        assert!(!error.is_conflict());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_is_given_up() {
        let error = in_time::<()>(Duration::from_secs(3), std::future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer within 3 s");
    }
}
