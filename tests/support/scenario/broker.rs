//! A broker in the scenario's namespace, in which updates wait: a real server in a pod, with TLS and a password.

use serde_json::{Value, json};
use telegram_webhook_crds::DELIVERY_SECRET_LABEL;

use super::Scenario;
use crate::{
    cluster::brokers,
    leaks,
    servers::redis::{MAY, USER},
};

const REDIS: &str = include_str!("../../manifests/redis.yaml");
const RABBIT_MQ: &str = include_str!("../../manifests/rabbitmq.yaml");
/// What a sidecar needs to get in.
const CREDENTIALS: &str = "broker";
/// What the server needs; the manifests name it.
const CONFIG: &str = "broker-config";

/// Which broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// Redis, with all that it needs to keep what it acknowledges.
    Redis,
    /// RabbitMQ, of one node.
    RabbitMq,
}

// === impl Broker ===

impl Broker {
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::RabbitMq => "rabbitmq",
        }
    }

    /// The name and content of its configuration file.
    fn config(self, password: &str) -> (&'static str, String) {
        match self {
            Self::Redis => (
                "redis.conf",
                format!(
                    "port 0\ntls-port 6379\ntls-auth-clients no\ntls-cert-file /config/tls.crt\ntls-key-file /config/tls.key\n\
                     tls-ca-cert-file /config/ca.crt\ndir /data\nappendonly yes\nappendfsync always\nsave \"\"\n\
                     maxmemory 100mb\nmaxmemory-policy noeviction\nuser default off\nuser {USER} on >{password} {MAY}\n"
                ),
            ),
            Self::RabbitMq => (
                "rabbitmq.conf",
                format!(
                    "listeners.tcp = none\nlisteners.ssl.default = 5671\nssl_options.cacertfile = /config/ca.crt\n\
                     ssl_options.certfile = /config/tls.crt\nssl_options.keyfile = /config/tls.key\n\
                     ssl_options.verify = verify_none\ndefault_user = {USER}\ndefault_pass = {password}\nloopback_users = none\n"
                ),
            ),
        }
    }

    /// `spec.delivery.backend` for it.
    fn backend(self) -> Value {
        let (name, port) = match self {
            Self::Redis => ("redis", 6379),
            Self::RabbitMq => ("rabbitMq", 5671),
        };
        json!({name: {
            "addresses": [format!("{}:{port}", self.name())],
            "credentialsSecretRef": {"name": CREDENTIALS},
            "tls": {"secretRef": {"name": CREDENTIALS}},
        }})
    }
}

// === impl Scenario ===

impl Scenario {
    /// Starts a broker with one user, whose credentials are in a Secret for the sidecar; returns `spec.delivery.backend` for it.
    pub async fn start_broker(&self, broker: Broker) -> anyhow::Result<Value> {
        let (image, manifest) = match broker {
            Broker::Redis => (brokers::redis().await?, REDIS),
            Broker::RabbitMq => (brokers::rabbit_mq().await?, RABBIT_MQ),
        };
        let image = self.cluster.load_image(&image).await?;
        let password = new_password()?;
        leaks::remember("a broker's password", &password);
        let (file, config) = broker.config(&password);
        let leaf = self.authority.issue(broker.name())?;
        let authority = self.authority.pem();
        let credentials = [("username", USER), ("password", &password), ("ca.crt", authority)];
        self.put_secret(CREDENTIALS, "Opaque", &credentials, Some(DELIVERY_SECRET_LABEL)).await?;
        let config = [
            (file, config.as_str()),
            ("plugins", "[]."),
            ("ca.crt", authority),
            ("tls.crt", &leaf.chain),
            ("tls.key", &leaf.key),
        ];
        self.put_secret(CONFIG, "Opaque", &config, None).await?;
        self.apply(&manifest.replace("BROKER_IMAGE", &image)).await?;
        self.wait_for_deployment(broker.name()).await?;
        Ok(broker.backend())
    }
}

fn new_password() -> anyhow::Result<String> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(hex::encode(random))
}
