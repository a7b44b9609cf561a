//! For tests: the webhook configuration in the fake cluster.

use k8s_openapi::{ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration};
use serde_json::json;

use crate::fixtures::cluster::FakeCluster;

pub const SECRETS: &str = "/api/v1/namespaces/operators/secrets";
pub const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/injector";

/// Puts the configuration there as the chart does, without a bundle.
pub fn configure(cluster: &FakeCluster) {
    let configuration = json!({
        "metadata": {"name": "injector"},
        "webhooks": [{
            "name": "inject.telegram-webhook.dev",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {"service": {"name": "admission", "namespace": "operators"}},
        }],
    });
    cluster.put(CONFIGURATION, &configuration);
}

/// The live bundle, as PEM.
pub fn bundle(cluster: &FakeCluster) -> String {
    let configuration = cluster.get(CONFIGURATION).unwrap();
    let configuration: MutatingWebhookConfiguration = serde_json::from_value(configuration).unwrap();
    let webhook = configuration.webhooks.unwrap().remove(0);
    String::from_utf8(webhook.client_config.ca_bundle.unwrap_or(ByteString(Vec::new())).0).unwrap()
}
