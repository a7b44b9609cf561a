//! The scenario's CRM and the sidecar in front of it.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt as _, api::ListParams};
use telegram_webhook_crds::WEBHOOK_PORT;

use super::{PATIENCE, Scenario};
use crate::{
    crm::{Control, Received},
    ledger::Ledger,
    pod_http::{self, PodConnection},
    wait,
};

impl Scenario {
    /// The running pods of the CRM.
    pub async fn crm_pods(&self) -> anyhow::Result<Vec<Pod>> {
        let pods = self.api::<Pod>().list(&ListParams::default().labels("app=crm")).await?;
        Ok(pods.items.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
    }

    /// Name of the CRM's only pod.
    pub async fn crm_pod(&self) -> anyhow::Result<String> {
        Ok(self.crm_pods().await?.first().context("the CRM has no pod")?.name_any())
    }

    /// Connects to the sidecar of the CRM's pod as Telegram would.
    pub async fn connect(&self, webhook: &str) -> anyhow::Result<PodConnection> {
        let tls = pod_http::tls_client(self.authority.pem())?;
        let (pod, host) = (self.crm_pod().await?, self.host(webhook));
        PodConnection::open(&self.client, &self.namespace, &pod, WEBHOOK_PORT, &tls, &host)
            .await
            .context("can't connect to the sidecar")
    }

    /// What the CRM has received, in order.
    pub async fn received(&self) -> anyhow::Result<Vec<Received>> {
        self.received_by("crm").await
    }

    /// What the CRM behind that Service has received, in order.
    pub async fn received_by(&self, service: &str) -> anyhow::Result<Vec<Received>> {
        let port = format!("{service}:http");
        let value =
            pod_http::call_service(&self.client, &self.namespace, &port, Method::GET, "/received", None)
                .await?;
        Ok(serde_json::from_value(value)?)
    }

    /// Makes the CRM answer updates with `status` from now on.
    pub async fn crm_answers(&self, status: u16) -> anyhow::Result<()> {
        let control = serde_json::to_value(Control { status })?;
        pod_http::call_service(
            &self.client,
            &self.namespace,
            "crm:http",
            Method::POST,
            "/control",
            Some(&control),
        )
        .await
        .map(drop)
    }

    /// Waits until the CRM has received all of `sent`; what else it received doesn't count.
    pub async fn deliver(&self, sent: &BTreeSet<i64>) -> anyhow::Result<Ledger> {
        wait::until("every update at the CRM", PATIENCE, || async {
            let mut received = self.received().await?;
            received.retain(|received| sent.contains(&received.update_id));
            let ledger = Ledger::new(sent, &received);
            ensure!(ledger.lost == 0, "{ledger}");
            Ok(Some(ledger))
        })
        .await
    }
}
