//! Searches everything that a run has written and that somebody may read (logs, events, statuses, metrics) for secrets.

use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, LogParams},
};
use telegram_webhook_crds::{ADMIN_PORT, SIDECAR_CONTAINER, TelegramWebhook};

use crate::pod_http;

/// The operator's container in the chart.
pub const OPERATOR_CONTAINER: &str = "operator";

/// Every secret that this process has made or seen, with a name to report it by.
static SECRETS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Remembers a secret to search for. The whole and, because it may be cut, its first and its second half.
pub fn remember(name: &str, secret: &str) {
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    let (first, second) = secret.split_at(secret.len() / 2);
    for (part, text) in [("", secret), ("first half of ", first), ("second half of ", second)] {
        // a shorter piece would be found by chance
        let known = secrets.iter().any(|(_, known)| known == text);
        if text.len() >= 12 && !known {
            secrets.push((format!("{part}{name}"), text.to_owned()));
        }
    }
}

/// What a search looked at, and the secrets it found.
#[derive(Debug, Default)]
pub struct Search {
    /// Texts looked at: what they are and how long.
    pub searched: Vec<(String, usize)>,
    /// `secret in text`, never the secret itself.
    pub found: Vec<String>,
}

impl Search {
    /// Looks for every remembered secret in `text`.
    pub fn look_at(&mut self, what: &str, text: &str) {
        let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
        self.found.extend(
            secrets
                .iter()
                .filter(|(_, secret)| text.contains(secret))
                .map(|(name, _)| format!("{name} in {what}")),
        );
        self.searched.push((what.to_owned(), text.len()));
    }

    /// Looks at the operator: logs and metrics of its pods, events of its namespace.
    pub async fn operator(&mut self, client: &Client, namespace: &str) -> anyhow::Result<()> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        for pod in pods.list(&ListParams::default()).await? {
            self.logs(&pods, &pod, OPERATOR_CONTAINER).await?;
            if pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
                && pod.metadata.deletion_timestamp.is_none()
            {
                let name = pod.name_any();
                let metrics = pod_http::get_pod(client, namespace, &name, 8080, "/metrics").await?;
                self.look_at(&format!("metrics of {name}"), &metrics);
            }
        }
        self.events(client, namespace).await
    }

    /// Looks at a namespace of a scenario: statuses of its resources, events, logs of every sidecar, metrics and `/config`.
    pub async fn scenario(&mut self, client: &Client, namespace: &str) -> anyhow::Result<()> {
        for webhook in
            Api::<TelegramWebhook>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?
        {
            self.look_at(
                &format!("status of {}", webhook.name_any()),
                &serde_json::to_string(&webhook.status)?,
            );
        }
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        for pod in pods.list(&ListParams::default()).await? {
            let injected = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
            if !injected.into_iter().any(|container| container.name == SIDECAR_CONTAINER) {
                continue;
            }
            self.look_at(&format!("status of {}", pod.name_any()), &serde_json::to_string(&pod.status)?);
            self.logs(&pods, &pod, SIDECAR_CONTAINER).await?;
            if pod.metadata.deletion_timestamp.is_none() {
                for path in ["/metrics", "/config"] {
                    let name = pod.name_any();
                    let text = pod_http::get_pod(client, namespace, &name, ADMIN_PORT, path).await?;
                    self.look_at(&format!("{path} of {name}"), &text);
                }
            }
        }
        self.events(client, namespace).await
    }

    /// Looks at a container's log, and at that of its run before, if there was one.
    async fn logs(&mut self, pods: &Api<Pod>, pod: &Pod, container: &str) -> anyhow::Result<()> {
        let name = pod.name_any();
        for previous in [false, true] {
            let params =
                LogParams { container: Some(container.to_owned()), previous, ..LogParams::default() };
            match pods.logs(&name, &params).await {
                Ok(text) => self.look_at(&format!("log of {container} in {name}"), &text),
                // there was no run before, the container has not started yet, or the pod has just gone
                Err(kube::Error::Api(status)) if previous || [400, 404].contains(&status.code) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn events(&mut self, client: &Client, namespace: &str) -> anyhow::Result<()> {
        for event in Api::<Event>::namespaced(client.clone(), namespace).list(&ListParams::default()).await? {
            self.look_at("an event", &serde_json::to_string(&event)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_whole_and_cut_and_is_not_repeated_in_the_report() {
        let secret = "0123456789abcdefghijklmnopqrstuv";
        remember("a planted secret", secret);
        for (text, finding) in [
            (format!("url=/telegram/{secret}?"), "a planted secret in a log"),
            ("...ghijklmnopqrstuv".to_owned(), "second half of a planted secret in a log"),
            ("0123456789abcdef...".to_owned(), "first half of a planted secret in a log"),
        ] {
            let mut search = Search::default();
            search.look_at("a log", &text);
            assert!(search.found.contains(&finding.to_owned()), "{:?}", search.found);
            assert!(!format!("{search:?}").contains("0123456789abcdef"));
        }
        let mut search = Search::default();
        search.look_at("a log", "nothing of it: 0123456789");
        assert_eq!((search.found.len(), search.searched.len()), (0, 1));
    }
}
