//! The Redis server, or servers, in which updates wait.

use serde::{Deserialize, Serialize};

use crate::{BrokerTls, Secret};

/// A Redis that several sidecars can share.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Redis {
    /// Where it listens, each `host:port`: one for `Standalone`, the sentinels for `Sentinel`, some of the nodes for `Cluster`.
    pub addresses: Vec<String>,
    /// How its servers are arranged.
    #[serde(default)]
    pub topology: RedisTopology,
    /// User of the servers' access control list; none for the default user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The user's password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Number of the database; a cluster has the first only.
    #[serde(default)]
    pub database: u32,
    /// How connections are encrypted; none for not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<BrokerTls>,
    /// What the names of all keys begin with.
    #[serde(default = "key_prefix")]
    pub key_prefix: String,
    /// Most updates of a bot that wait; beyond it updates are refused, and Telegram keeps them.
    #[serde(default = "max_updates")]
    pub max_updates: u64,
    /// Who takes the updates out again.
    #[serde(default)]
    pub consume: Consume,
}

/// How the servers are arranged.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum RedisTopology {
    /// One server.
    #[default]
    Standalone,
    /// One server and its replicas, and sentinels that know which one it is.
    Sentinel {
        /// What the sentinels call it.
        service: String,
        /// User of the sentinels' access control list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        username: Option<String>,
        /// Password for the sentinels.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Secret>,
    },
    /// A Redis Cluster: all keys of a bot are on one of its nodes.
    Cluster,
}

/// Who takes updates out of a broker.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum Consume {
    /// The sidecars, which deliver them to the CRM.
    #[default]
    Sidecar,
    /// The CRM itself: the sidecars store only.
    Queue,
}

fn key_prefix() -> String {
    "telegram-webhook:".to_owned()
}

fn max_updates() -> u64 {
    100_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientCertificate;

    #[test]
    fn little_needs_to_be_said() {
        let text = r#"{"type":"Redis","addresses":["redis:6379"]}"#;
        let crate::Backend::Redis(redis) = serde_json::from_str(text).unwrap() else {
            panic!("not what was written");
        };
        assert_eq!((redis.max_updates, redis.consume), (100_000, Consume::Sidecar));
        assert_eq!(redis.key_prefix, "telegram-webhook:");
        let unknown = text.replace("addresses", "adresses");
        assert!(serde_json::from_str::<crate::Backend>(&unknown).is_err());
    }

    #[test]
    fn what_is_written_is_read_and_shows_no_secret() {
        let secret = || Secret("hush".to_owned());
        let redis = Redis {
            addresses: vec!["sentinel:26379".to_owned()],
            topology: RedisTopology::Sentinel {
                service: "main".to_owned(),
                username: None,
                password: Some(secret()),
            },
            username: Some("sidecar".to_owned()),
            password: Some(secret()),
            database: 1,
            tls: Some(BrokerTls {
                client_certificate: Some(ClientCertificate { chain: String::new(), key: secret() }),
                ..BrokerTls::default()
            }),
            key_prefix: "tg:".to_owned(),
            max_updates: 1,
            consume: Consume::Queue,
        };
        let backend = crate::Backend::Redis(Box::new(redis));
        let text = serde_json::to_string(&backend).unwrap();
        assert_eq!(serde_json::from_str::<crate::Backend>(&text).unwrap(), backend);
        assert!(!format!("{backend:?}").contains("hush"));
    }
}
