//! One namespace of a test cluster with everything around the product: a simulator of Telegram, a CRM, a bot's token, a
//! certificate. The demo is one scenario, every system test another.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use http::Method;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Namespace, Pod, Secret},
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams},
};
use serde_json::{Value, json};
use telegram_webhook_crds::{BOT_TOKEN_LABEL, TelegramWebhook, WEBHOOK_PORT, child_name};
use telegram_webhook_sidecar_config::{CONFIG_FILE, Slot, WebhookConfig};

use crate::{
    crm::{Control, Received},
    installation::{Installation, SCENARIOS},
    manifest,
    pki::{Authority, Leaf},
    pod_http::{self, PodConnection, ServiceProxy},
    telegram::{
        control::{ControlClient, Enqueue},
        record::ApiCall,
    },
    wait,
};

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
            namespace: namespace(name),
            authority: Authority::new()?,
            token: new_token()?,
            test_tools_image: installation.test_tools_image.clone(),
        };
        scenario.remove_and_wait().await?;
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(scenario.namespace.clone()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::<Namespace>::all(client.clone()).create(&kube::api::PostParams::default(), &namespace).await?;
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

    /// Writes a Secret with a bot's token, labelled as the operator asks for.
    pub async fn put_token(&self, name: &str, token: &str) -> anyhow::Result<()> {
        self.put_secret(name, "Opaque", &[("token", token)], true).await
    }

    /// Writes a `kubernetes.io/tls` Secret.
    pub async fn put_certificate(&self, name: &str, leaf: &Leaf) -> anyhow::Result<()> {
        self.put_secret(name, "kubernetes.io/tls", &[("tls.crt", &leaf.chain), ("tls.key", &leaf.key)], false)
            .await
    }

    /// Writes a Secret.
    pub async fn put_secret(
        &self,
        name: &str,
        type_: &str,
        data: &[(&str, &str)],
        token_label: bool,
    ) -> anyhow::Result<()> {
        let labels = token_label.then(|| BTreeMap::from([(BOT_TOKEN_LABEL.to_owned(), "true".to_owned())]));
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() },
            type_: Some(type_.to_owned()),
            data: Some(
                data.iter()
                    .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        };
        let params = PatchParams::apply(manifest::FIELD_MANAGER).force();
        self.api::<Secret>().patch(name, &params, &Patch::Apply(&secret)).await?;
        Ok(())
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
        self.wait_for_condition(WEBHOOK, "Ready", "True", None).await.map(drop)
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

    /// The pair of path and token that Telegram is told.
    pub async fn slot(&self, webhook: &str) -> anyhow::Result<Slot> {
        let secret = self.api::<Secret>().get(&child_name(webhook)).await?;
        let config = secret
            .data
            .and_then(|mut data| data.remove(CONFIG_FILE))
            .context("the child Secret has no configuration")?;
        let config = WebhookConfig::parse(&config.0)?;
        config.slots.into_iter().next().context("the configuration has no slot")
    }

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
        let value =
            pod_http::call_service(&self.client, &self.namespace, "crm:http", Method::GET, "/received", None)
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
        remove(&self.client, &self.namespace).await
    }

    async fn remove_and_wait(&self) -> anyhow::Result<()> {
        self.remove().await?;
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        wait::until(&format!("the end of namespace {}", self.namespace), PATIENCE, || async {
            Ok(namespaces.get_opt(&self.namespace).await?.is_none().then_some(()))
        })
        .await
    }
}

/// Deletes a namespace and all in it, without waiting; that there is none is fine.
pub async fn remove(client: &Client, namespace: &str) -> anyhow::Result<()> {
    match Api::<Namespace>::all(client.clone()).delete(namespace, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop).map_err(Into::into),
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

/// A bot's id: the digits in front of its token's colon.
pub fn bot_id(token: &str) -> i64 {
    token.split_once(':').and_then(|(id, _)| id.parse().ok()).unwrap_or_default()
}

/// Namespace of the scenario called `name`.
pub fn namespace(name: &str) -> String {
    format!("tgwh-{name}")
}

/// Base URL of the simulator in the scenario called `name`; the operator must be told to accept it.
pub fn api_server(name: &str) -> String {
    format!("http://telegram.{}.svc.cluster.local:8081", namespace(name))
}

/// `Type=Status(Reason): message` of each condition.
pub fn summary(conditions: &[Condition]) -> String {
    let each = |condition: &Condition| {
        format!("{}={}({}): {}", condition.type_, condition.status, condition.reason, condition.message)
    };
    conditions.iter().map(each).collect::<Vec<_>>().join("; ")
}

/// A token of the form that @BotFather gives: the bot's id, a colon, 35 characters.
pub fn new_token() -> anyhow::Result<String> {
    let mut random = [0_u8; 22];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    let (id, rest) = random.split_at(4);
    let id = u32::from_be_bytes([id[0], id[1], id[2], id[3]]) % 1_000_000_000 + 1_000_000_000;
    let rest: String = hex::encode(rest).chars().take(35).collect();
    Ok(format!("{id}:{rest}"))
}
