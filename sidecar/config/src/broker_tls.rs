//! How connections to a broker are encrypted.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// How connections to a broker are encrypted.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BrokerTls {
    /// Certificates of the authorities that are trusted, PEM; without it those that the system trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The name that the server's certificate must be for, where that isn't its host's. Not for a Redis `Cluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// What the sidecar shows of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
}

/// A certificate that a server asks for.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificate {
    /// The chain, PEM, leaf first.
    pub chain: String,
    /// Its private key, PEM.
    pub key: Secret,
}
