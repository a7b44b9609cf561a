//! An answer of the Bot API in its two forms, success and error.

use std::fmt;

use serde_json::json;

/// What a method answers.
#[derive(Clone)]
pub struct ApiAnswer {
    /// HTTP status; the same number stands in `error_code`.
    pub status: u16,
    /// The JSON text.
    pub body: String,
    /// Seconds, sent as `Retry-After` too.
    pub retry_after: Option<u64>,
}

impl ApiAnswer {
    /// A success whose `result` is this JSON text.
    pub fn ok(result: &str) -> Self {
        Self { status: 200, body: format!(r#"{{"ok":true,"result":{result}}}"#), retry_after: None }
    }

    /// `result: true` with a description.
    pub fn done(description: &str) -> Self {
        Self {
            status: 200,
            body: format!(r#"{{"ok":true,"result":true,"description":{}}}"#, json!(description)),
            retry_after: None,
        }
    }

    /// An error.
    pub fn error(status: u16, description: &str) -> Self {
        Self {
            status,
            body: format!(r#"{{"ok":false,"error_code":{status},"description":{}}}"#, json!(description)),
            retry_after: None,
        }
    }

    /// A refusal for being called too often.
    pub fn too_many_requests(retry_after: u64) -> Self {
        let description = format!("Too Many Requests: retry after {retry_after}");
        Self {
            status: 429,
            body: format!(
                r#"{{"ok":false,"error_code":429,"description":{},"parameters":{{"retry_after":{retry_after}}}}}"#,
                json!(description)
            ),
            retry_after: Some(retry_after),
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// `description`, or nothing.
    pub fn description(&self) -> String {
        self.json().get("description").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    }
}

// The body of getWebhookInfo holds the webhook's path, which is a secret.
impl fmt::Debug for ApiAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiAnswer")
            .field("status", &self.status)
            .field("description", &self.description())
            .finish_non_exhaustive()
    }
}
