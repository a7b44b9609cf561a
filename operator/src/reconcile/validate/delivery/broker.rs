//! Checks where a broker is and how to connect to it. What the definition's own rules leave out is what Secrets hold.

use k8s_openapi::api::core::v1::Secret as KubeSecret;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use telegram_webhook_crds::{BrokerTlsSpec, RabbitMqSpec, RedisSpec, SecretRef, TopologySpec};
use telegram_webhook_sidecar_config::{
    Backend, BrokerTls, ClientCertificate, RabbitMq, Redis, RedisTopology, Secret, TLS_CERT_FILE,
    TLS_KEY_FILE,
    bounds::{MAX_DATABASE, PARTITIONS, QUEUED_UPDATES},
};

use super::{
    FIELD,
    secrets::{allowed, lacking, text},
    within,
};
use crate::reconcile::{
    status::Reason,
    validate::{Mistake, mistake::Mistakes},
};

const REDIS: &str = "backend.redis";
const RABBIT_MQ: &str = "backend.rabbitMq";
const CA_FILE: &str = "ca.crt";

/// User and password.
struct Credentials {
    username: Option<String>,
    password: Secret,
}

/// What a TLS Secret holds.
#[derive(Default)]
struct Pems {
    ca: Option<String>,
    client: Option<ClientCertificate>,
}

/// Checks `spec.delivery.backend.redis`. `None` only together with a mistake.
pub fn redis(
    spec: &RedisSpec,
    [credentials, sentinel, tls]: &[Option<KubeSecret>; 3],
    mistakes: &mut Mistakes,
) -> Option<Backend> {
    let own = spec.credentials_secret_ref.as_ref();
    let field = format!("{REDIS}.credentialsSecretRef");
    let credentials = mistakes.take(optional(&field, own, credentials.as_ref(), self::credentials));
    let topology = topology(spec, sentinel.as_ref(), mistakes);
    let tls = mistakes.take(self::tls(REDIS, spec.tls.as_ref(), tls.as_ref()));
    if spec.topology == TopologySpec::Standalone && spec.addresses.len() != 1 {
        push(
            mistakes,
            REDIS,
            "addresses: topology Standalone is one server; name one, or use topology Sentinel or Cluster",
        );
    }
    if spec.topology == TopologySpec::Cluster && spec.database != 0 {
        push(mistakes, REDIS, "database: a cluster has database 0 only");
    }
    let server_name = spec.tls.as_ref().and_then(|tls| tls.server_name.clone());
    if spec.topology == TopologySpec::Cluster && server_name.is_some() {
        push(mistakes, REDIS, "tls.serverName: each node of a cluster has a name of its own; remove it");
    }
    check_addresses(REDIS, &spec.addresses, mistakes);
    within(&format!("{REDIS}.database"), &spec.database, &(0..=MAX_DATABASE), mistakes);
    within(&format!("{REDIS}.maxUpdates"), &spec.max_updates, &QUEUED_UPDATES, mistakes);
    let (username, password) =
        credentials?.map(|Credentials { username, password }| (username, password)).unzip();
    let tls = tls?.map(|Pems { ca, client }| BrokerTls { ca, server_name, client_certificate: client });
    Some(Backend::Redis(Box::new(Redis {
        addresses: spec.addresses.clone(),
        topology: topology?,
        username: username.flatten(),
        password,
        database: spec.database,
        tls,
        key_prefix: spec.key_prefix.clone(),
        max_updates: spec.max_updates,
        consume: spec.consume,
    })))
}

fn topology(spec: &RedisSpec, secret: Option<&KubeSecret>, mistakes: &mut Mistakes) -> Option<RedisTopology> {
    match (spec.topology, &spec.sentinel) {
        (TopologySpec::Standalone, None) => Some(RedisTopology::Standalone),
        (TopologySpec::Cluster, None) => Some(RedisTopology::Cluster),
        (TopologySpec::Sentinel, Some(sentinel)) => {
            let field = format!("{REDIS}.sentinel.credentialsSecretRef");
            let reference = sentinel.credentials_secret_ref.as_ref();
            let credentials = mistakes.take(optional(&field, reference, secret, credentials))?;
            let (username, password) =
                credentials.map(|Credentials { username, password }| (username, password)).unzip();
            let service = sentinel.service.clone();
            Some(RedisTopology::Sentinel { service, username: username.flatten(), password })
        }
        (TopologySpec::Sentinel, None) | (TopologySpec::Standalone | TopologySpec::Cluster, Some(_)) => {
            push(mistakes, REDIS, "sentinel: goes with topology Sentinel, and only with it");
            None
        }
    }
}

/// Checks `spec.delivery.backend.rabbitMq`. `None` only together with a mistake.
pub fn rabbit_mq(
    spec: &RabbitMqSpec,
    [credentials, _, tls]: &[Option<KubeSecret>; 3],
    mistakes: &mut Mistakes,
) -> Option<Backend> {
    let RabbitMqSpec { credentials_secret_ref, .. } = spec;
    let field = format!("{RABBIT_MQ}.credentialsSecretRef");
    let credentials = optional(&field, Some(credentials_secret_ref), credentials.as_ref(), self::credentials)
        .and_then(|given| {
            let given = given.and_then(|Credentials { username, password }| Some((username?, password)));
            given.ok_or_else(|| lacking(&field, &credentials_secret_ref.name, "username"))
        });
    let credentials = mistakes.take(credentials);
    let tls = mistakes.take(self::tls(RABBIT_MQ, spec.tls.as_ref(), tls.as_ref()));
    if spec.name_prefix.starts_with("amq.") {
        push(
            mistakes,
            RABBIT_MQ,
            "namePrefix: RabbitMQ keeps names that begin with amq. for itself; use another one",
        );
    }
    check_addresses(RABBIT_MQ, &spec.addresses, mistakes);
    within(&format!("{RABBIT_MQ}.partitions"), &spec.partitions, &PARTITIONS, mistakes);
    within(&format!("{RABBIT_MQ}.maxUpdates"), &spec.max_updates, &QUEUED_UPDATES, mistakes);
    let server_name = spec.tls.as_ref().and_then(|tls| tls.server_name.clone());
    let (username, password) = credentials?;
    let tls = tls?.map(|Pems { ca, client }| BrokerTls { ca, server_name, client_certificate: client });
    Some(Backend::RabbitMq(Box::new(RabbitMq {
        addresses: spec.addresses.clone(),
        virtual_host: spec.virtual_host.clone(),
        username,
        password,
        tls,
        name_prefix: spec.name_prefix.clone(),
        partitions: spec.partitions,
        max_updates: spec.max_updates,
        consume: spec.consume,
    })))
}

fn push(mistakes: &mut Mistakes, backend: &str, message: &str) {
    mistakes.push(Reason::DeliveryInvalid, format!("{FIELD}.{backend}.{message}"));
}

/// As the sidecar does it, which the definition's pattern comes close to.
fn check_addresses(backend: &str, addresses: &[String], mistakes: &mut Mistakes) {
    let is_address = |text: &String| {
        let Some((host, port)) = text.rsplit_once(':') else {
            return false;
        };
        let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)),
        };
        is_host && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    if addresses.is_empty() || !addresses.iter().all(is_address) {
        push(
            mistakes,
            backend,
            "addresses: each must be a host, a colon and a port, such as broker.crm.svc:6379, without a scheme or a password; name at least one",
        );
    }
}

/// Reads the Secret of a reference, if there is one.
fn optional<T>(
    field: &str,
    reference: Option<&SecretRef>,
    secret: Option<&KubeSecret>,
    read: impl FnOnce(&str, &str, Option<&KubeSecret>) -> Result<T, Mistake>,
) -> Result<Option<T>, Mistake> {
    reference.map(|reference| read(field, &reference.name, secret)).transpose()
}

fn credentials(field: &str, name: &str, secret: Option<&KubeSecret>) -> Result<Credentials, Mistake> {
    let secret = allowed(field, name, secret, "with the keys username and password")?;
    let given = |key| text(secret, key).filter(|text| !text.is_empty());
    let password = given("password").ok_or_else(|| lacking(field, name, "password"))?;
    let username = given("username");
    if username.is_some_and(|username| username.contains(char::is_whitespace)) {
        let message = format!("{FIELD}.{field}: key username of Secret {name} must be a name without spaces");
        return Err(Mistake::lasting(Reason::DeliverySecretMalformed, message));
    }
    Ok(Credentials { username: username.map(str::to_owned), password: Secret(password.to_owned()) })
}

fn tls(
    backend: &str,
    spec: Option<&BrokerTlsSpec>,
    secret: Option<&KubeSecret>,
) -> Result<Option<Pems>, Mistake> {
    let Some(spec) = spec else {
        return Ok(None);
    };
    let field = format!("{backend}.tls.secretRef");
    let pems = optional(&field, spec.secret_ref.as_ref(), secret, pems)?;
    Ok(Some(pems.unwrap_or_default()))
}

fn pems(field: &str, name: &str, secret: Option<&KubeSecret>) -> Result<Pems, Mistake> {
    let secret = allowed(field, name, secret, "with the key ca.crt, or tls.crt and tls.key")?;
    let given = |key| text(secret, key).filter(|text| !text.is_empty());
    let malformed = |key: &str, wanted: &str| {
        let message = format!("{FIELD}.{field}: key {key} of Secret {name} must be {wanted} in PEM");
        Mistake::lasting(Reason::DeliverySecretMalformed, message)
    };
    let ca = given(CA_FILE);
    if ca.is_some_and(|pem| !is_certificates(pem)) {
        return Err(malformed(CA_FILE, "certificates"));
    }
    let client = match (given(TLS_CERT_FILE), given(TLS_KEY_FILE)) {
        (None, None) if ca.is_none() => return Err(lacking(field, name, CA_FILE)),
        (None, None) => None,
        (Some(_), None) => return Err(lacking(field, name, TLS_KEY_FILE)),
        (None, Some(_)) => return Err(lacking(field, name, TLS_CERT_FILE)),
        (Some(chain), Some(_)) if !is_certificates(chain) => {
            return Err(malformed(TLS_CERT_FILE, "a certificate chain"));
        }
        (Some(_), Some(key)) if PrivateKeyDer::from_pem_slice(key.as_bytes()).is_err() => {
            return Err(malformed(TLS_KEY_FILE, "a private key"));
        }
        (Some(chain), Some(key)) => {
            Some(ClientCertificate { chain: chain.to_owned(), key: Secret(key.to_owned()) })
        }
    };
    Ok(Pems { ca: ca.map(str::to_owned), client })
}

/// At least one, and nothing that isn't one.
fn is_certificates(pem: &str) -> bool {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    certificates.is_ok_and(|certificates| !certificates.is_empty())
}
