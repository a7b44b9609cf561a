//! Answers one AdmissionReview: looks up the resources of the pod's namespace, decides, and words the answer. It changes
//! nothing anywhere, so a dry run gets the same answer.

use std::{fmt, future::Future, time::Duration};

use kube::{
    Api, Client,
    api::ListParams,
    core::{
        DynamicObject, Status,
        admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, META_API_VERSION_V1, Operation},
        response::StatusDetails,
    },
};
use telegram_webhook_crds::{INJECT_LABEL, TelegramWebhook};

use super::inject::{Denial, Images, Injection, inject};
use crate::kubernetes;

/// How long looking up the resources may take. Less than the API server waits for the whole answer.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);
/// After how many seconds a client should try again when the lookup failed.
const RETRY_AFTER_SECONDS: u32 = 2;

/// Where the resources of a namespace come from: read anew for every pod, so that a pod created right after its resource
/// is not refused.
pub trait LookUp: Send + Sync + 'static {
    type Error: fmt::Display;

    fn webhooks(
        &self,
        namespace: &str,
    ) -> impl Future<Output = Result<Vec<TelegramWebhook>, Self::Error>> + Send;
}

impl LookUp for Client {
    type Error = kubernetes::Error;

    async fn webhooks(&self, namespace: &str) -> Result<Vec<TelegramWebhook>, kubernetes::Error> {
        let api = Api::<TelegramWebhook>::namespaced(self.clone(), namespace);
        Ok(api.list(&ListParams::default()).await?.items)
    }
}

/// Why a review gets no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not an AdmissionReview: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("not an AdmissionReview of version {META_API_VERSION_V1} with a request")]
    NoRequest,
}

/// Answers AdmissionReviews.
pub struct Reviewer<L> {
    pub lookup: L,
    pub images: Images,
}

impl<L: LookUp> Reviewer<L> {
    /// Answers the review in `body`.
    pub async fn review(&self, body: &[u8]) -> Result<AdmissionReview<DynamicObject>, Error> {
        let review: AdmissionReview<DynamicObject> = serde_json::from_slice(body)?;
        if review.types.api_version != META_API_VERSION_V1 {
            return Err(Error::NoRequest);
        }
        let request: AdmissionRequest<DynamicObject> = review.try_into().map_err(|_| Error::NoRequest)?;
        Ok(self.answer(&request).await.into_review())
    }

    async fn answer(&self, request: &AdmissionRequest<DynamicObject>) -> AdmissionResponse {
        let response = AdmissionResponse::from(request);
        let Some(pod) = opted_in(request) else {
            return response;
        };
        let namespace = request.namespace.as_deref().unwrap_or_default();
        let pod_name = pod_name(pod);
        let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, self.lookup.webhooks(namespace));
        let webhooks = match lookup.await {
            Ok(Ok(webhooks)) => webhooks,
            Ok(Err(error)) => return unavailable(response, namespace, &pod_name, &error),
            Err(elapsed) => return unavailable(response, namespace, &pod_name, &elapsed),
        };
        match inject(pod, namespace, &webhooks, &self.images) {
            Ok(injection) => allow(response, namespace, &pod_name, injection),
            Err(denial) => deny(response, namespace, &pod_name, &denial),
        }
    }
}

/// The pod to inject. Whatever else a configuration other than ours sends here passes unchanged.
fn opted_in(request: &AdmissionRequest<DynamicObject>) -> Option<&DynamicObject> {
    let pod = request.object.as_ref()?;
    let is_pod = request.kind.group.is_empty() && request.kind.kind == "Pod";
    let label = pod.metadata.labels.as_ref()?.get(INJECT_LABEL)?;
    (is_pod && request.operation == Operation::Create && label == "true").then_some(pod)
}

/// A pod that a controller makes has no name yet, only the beginning of one.
fn pod_name(pod: &DynamicObject) -> String {
    let generated = pod.metadata.generate_name.as_ref().map(|prefix| format!("{prefix}*"));
    pod.metadata.name.clone().or(generated).unwrap_or_default()
}

fn allow(
    mut response: AdmissionResponse,
    namespace: &str,
    pod: &str,
    injection: Injection,
) -> AdmissionResponse {
    let Injection { patch, webhooks, warnings } = injection;
    tracing::info!(namespace, pod, ?webhooks, operations = patch.len(), "sidecar injected");
    response.warnings = (!warnings.is_empty()).then_some(warnings);
    if patch.is_empty() {
        return response;
    }
    let refused = response.clone();
    response.with_patch(patch).unwrap_or_else(|error| refused.deny(error))
}

fn deny(response: AdmissionResponse, namespace: &str, pod: &str, denial: &Denial) -> AdmissionResponse {
    tracing::warn!(namespace, pod, %denial, "pod denied");
    refuse(response, Status::failure(&denial.to_string(), "Forbidden").with_code(403))
}

/// Not knowing is no reason to let an unprotected pod in. The API server passes the hint on as Retry-After.
fn unavailable(
    response: AdmissionResponse,
    namespace: &str,
    pod: &str,
    error: &dyn fmt::Display,
) -> AdmissionResponse {
    tracing::error!(namespace, pod, %error, "can't look up TelegramWebhooks");
    let message = format!(
        "the TelegramWebhooks of namespace {namespace} can't be listed right now ({error}); the pod is refused because it \
         would be unprotected. Try again in {RETRY_AFTER_SECONDS} seconds"
    );
    let details = StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: RETRY_AFTER_SECONDS,
    };
    let status = Status::failure(&message, "ServiceUnavailable").with_code(503);
    refuse(response, status.with_details(details))
}

fn refuse(mut response: AdmissionResponse, status: Status) -> AdmissionResponse {
    response.allowed = false;
    response.result = status;
    response
}

#[cfg(test)]
mod tests;
