//! One namespace of a test cluster with everything around the product: a simulator of Telegram, a CRM, a bot's token, a
//! certificate. The demo is one scenario, every system test another.

pub mod broker;
mod crm;
mod secrets;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::ensure;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams},
};
use serde_json::{Value, json};
use telegram_webhook_crds::{TelegramWebhook, child_name};

use crate::{
    cluster::Cluster,
    installation::{Installation, SCENARIOS},
    manifest, namespace,
    pki::Authority,
    pod_http::ServiceProxy,
    telegram::{
        control::{ControlClient, Enqueue},
        record::ApiCall,
    },
    wait,
};

pub use self::secrets::{bot_id, new_token};

/// The simulator's manifest.
pub const TELEGRAM: &str = include_str!("../manifests/telegram.yaml");
/// The CRM's manifest.
pub const CRM: &str = include_str!("../manifests/crm.yaml");
/// The resource that a team declares.
pub const TELEGRAM_WEBHOOK: &str = include_str!("../manifests/telegram-webhook.yaml");
/// Name of the resource in [`TELEGRAM_WEBHOOK`].
pub const WEBHOOK: &str = "support";
/// Time within which the cluster must have done what was asked.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// One namespace of a test cluster with everything around the product.
pub struct Scenario {
    /// Client of the cluster.
    pub client: Client,
    /// The scenario's namespace.
    pub namespace: String,
    /// Signs the certificates of this scenario; the simulator trusts it.
    pub authority: Authority,
    /// The bot's token.
    pub token: String,
    cluster: Cluster,
    test_tools_image: String,
}

impl Scenario {
    /// Makes the namespace and starts the simulator in it, with one bot whose token lies in the Secret `support-bot` and a
    /// certificate for [`WEBHOOK`]'s Service in the Secret `hooks-tls`. A namespace of an earlier run is removed first.
    pub async fn start(installation: &Installation, name: &str) -> anyhow::Result<Self> {
        ensure!(
            SCENARIOS.contains(&name),
            "the installation doesn't know the scenario {name}: name it in SCENARIOS"
        );
        let client = installation.client();
        let scenario = Self {
            client: client.clone(),
            namespace: namespace_of(name),
            authority: Authority::new()?,
            token: new_token()?,
            cluster: installation.cluster.clone(),
            test_tools_image: installation.test_tools_image.clone(),
        };
        namespace::remove_and_wait(&client, &scenario.namespace).await?;
        namespace::create(&client, &scenario.namespace).await?;
        let authority = ConfigMap {
            metadata: ObjectMeta { name: Some("authority".into()), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([("ca.crt".to_owned(), scenario.authority.pem().to_owned())])),
            ..ConfigMap::default()
        };
        scenario.api::<ConfigMap>().create(&kube::api::PostParams::default(), &authority).await?;
        scenario.put_token("support-bot", &scenario.token).await?;
        scenario.put_certificate("hooks-tls", &scenario.authority.issue(&scenario.host(WEBHOOK))?).await?;
        scenario.apply(TELEGRAM).await?;
        scenario.wait_for_deployment("telegram").await?;
        Ok(scenario)
    }

    /// The simulator's control API, for the scenario's own bot.
    pub fn telegram(&self) -> ControlClient<ServiceProxy> {
        let transport = ServiceProxy { client: self.client.clone(), namespace: self.namespace.clone() };
        ControlClient::new(transport).for_bot(bot_id(&self.token))
    }

    /// Lets the scenario's bot get `count` messages, from that many chats in turn; returns their ids.
    pub async fn send(&self, count: usize, chats: usize) -> anyhow::Result<BTreeSet<i64>> {
        send(&self.telegram(), count, chats).await
    }

    /// Calls of a Bot API method so far.
    pub async fn calls(&self, method: &str) -> anyhow::Result<Vec<ApiCall>> {
        self.telegram().calls(Some(method)).await
    }

    /// Applies a manifest in the scenario's namespace, after filling in what differs between scenarios.
    pub async fn apply(&self, manifest: &str) -> anyhow::Result<()> {
        let filled = manifest
            .replace("NAMESPACE", &self.namespace)
            .replace("TEST_TOOLS_IMAGE", &self.test_tools_image)
            .replace("TELEGRAM_BOT", &format!("\"{}\"", self.token));
        manifest::apply(&self.client, &filled, &self.namespace).await
    }

    /// The host name of `webhook`'s Service, by which the simulator reaches it.
    pub fn host(&self, webhook: &str) -> String {
        format!("{}.{}.svc.cluster.local", child_name(webhook), self.namespace)
    }

    /// Objects of the scenario's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Waits until all of a Deployment's pods are ready.
    pub async fn wait_for_deployment(&self, name: &str) -> anyhow::Result<()> {
        let api = self.api::<k8s_openapi::api::apps::v1::Deployment>();
        wait::until(&format!("Deployment {}/{name}", self.namespace), PATIENCE, || async {
            let deployment = api.get_status(name).await?;
            let wanted = deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1);
            let status = deployment.status.unwrap_or_default();
            let current = status.observed_generation == deployment.metadata.generation;
            let done = current
                && status.updated_replicas == Some(wanted)
                && status.ready_replicas == Some(wanted)
                && status.replicas == Some(wanted);
            Ok(done.then_some(()))
        })
        .await
    }

    /// Applies [`CRM`] and [`TELEGRAM_WEBHOOK`] and waits until the resource is Ready.
    pub async fn start_crm_and_webhook(&self) -> anyhow::Result<()> {
        self.apply(TELEGRAM_WEBHOOK).await?;
        self.apply(CRM).await?;
        self.wait_for_condition(WEBHOOK, "Ready", "True", None).await?;
        self.remember_secrets().await
    }

    /// Waits for a condition, of the resource's current generation.
    pub async fn wait_for_condition(
        &self,
        webhook: &str,
        type_: &str,
        status: &str,
        reason: Option<&str>,
    ) -> anyhow::Result<Condition> {
        let api = self.api::<TelegramWebhook>();
        let what = format!("{type_}={status} {} of {}/{webhook}", reason.unwrap_or(""), self.namespace);
        wait::until(&what, PATIENCE, || async {
            let webhook = api.get(webhook).await?;
            let conditions = webhook.status.unwrap_or_default().conditions;
            let found = conditions.iter().find(|condition| {
                condition.type_ == type_
                    && condition.status == status
                    && condition.observed_generation == webhook.metadata.generation
                    && reason.is_none_or(|reason| condition.reason == reason)
            });
            match found {
                Some(condition) => Ok(Some(condition.clone())),
                None => anyhow::bail!("conditions are {}", summary(&conditions)),
            }
        })
        .await
    }

    /// Changes the resource's spec by a merge patch.
    pub async fn patch_spec(&self, webhook: &str, spec: Value) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api::<TelegramWebhook>().patch(webhook, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Replaces the resource's spec.
    pub async fn replace_spec(&self, webhook: &str, spec: &Value) -> anyhow::Result<()> {
        let patch: json_patch::Patch =
            serde_json::from_value(json!([{"op": "replace", "path": "/spec", "value": spec}]))?;
        let patch = Patch::Json::<TelegramWebhook>(patch);
        self.api::<TelegramWebhook>().patch(webhook, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Deletes the scenario's namespace and all in it, without waiting.
    pub async fn remove(&self) -> anyhow::Result<()> {
        namespace::remove(&self.client, &self.namespace).await
    }
}

/// Lets a bot get `count` messages, from that many chats in turn; returns their ids.
pub async fn send(
    telegram: &ControlClient<ServiceProxy>,
    count: usize,
    chats: usize,
) -> anyhow::Result<BTreeSet<i64>> {
    let chats = (1001..).take(chats).collect();
    let made = telegram.enqueue(&Enqueue { count, chats, ..Enqueue::default() }).await?;
    ensure!(made.discarded == 0, "the simulator discarded {} updates", made.discarded);
    Ok(made.update_ids.into_iter().collect())
}

/// Namespace of the scenario called `name`.
pub fn namespace_of(name: &str) -> String {
    format!("tgwh-{name}")
}

/// Base URL of the simulator in the scenario called `name`; the operator must be told to accept it.
pub fn api_server(name: &str) -> String {
    format!("http://telegram.{}.svc.cluster.local:8081", namespace_of(name))
}

/// `Type=Status(Reason): message` of each condition.
pub fn summary(conditions: &[Condition]) -> String {
    let each = |condition: &Condition| {
        format!("{}={}({}): {}", condition.type_, condition.status, condition.reason, condition.message)
    };
    conditions.iter().map(each).collect::<Vec<_>>().join("; ")
}
