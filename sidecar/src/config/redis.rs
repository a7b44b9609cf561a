//! Where a Redis is and how to connect to it, checked. No mistake and no debug output holds a password.

use std::fmt;

use telegram_webhook_sidecar_config::{
    self as raw, Consume, RedisTopology, Secret,
    bounds::{MAX_DATABASE, MAX_KEY_PREFIX_LENGTH, QUEUED_UPDATES},
};

use super::BrokerTls;

/// A Redis, as the configuration describes it.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// At least one.
    pub addresses: Vec<RedisAddress>,
    pub topology: RedisTopology,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub database: u32,
    pub tls: Option<BrokerTls>,
    /// What the names of all keys begin with.
    pub key_prefix: String,
    /// Most updates of a bot that wait.
    pub max_updates: u64,
    pub consume: Consume,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// A name or an address, an IPv6 one without its brackets.
    pub host: String,
    pub port: u16,
}

/// What is wrong with one field. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct RedisMistake {
    /// Below `delivery.backend`.
    pub field: String,
    pub reason: String,
}

/// The mistakes, as they are found.
struct Mistakes(Vec<RedisMistake>);

// === impl RedisSettings ===

impl RedisSettings {
    /// Checks what the file says and reports all that is wrong with it.
    pub fn new(redis: &raw::Redis) -> Result<Self, Vec<RedisMistake>> {
        let raw::Redis {
            topology, username, password, database, tls, key_prefix, max_updates, consume, ..
        } = redis;
        let mut mistakes = Mistakes(Vec::new());
        let addresses = addresses(&redis.addresses, topology, &mut mistakes);
        check_topology(topology, &mut mistakes);
        mistakes.credentials("", username.as_deref(), password.as_ref());
        check_database(*database, topology, &mut mistakes);
        check_key_prefix(key_prefix, &mut mistakes);
        let (least, most) = (QUEUED_UPDATES.start(), QUEUED_UPDATES.end());
        if !QUEUED_UPDATES.contains(max_updates) {
            mistakes.add("maxUpdates", format!("must be {least} to {most}"));
        }
        let tls = tls.as_ref().map(|tls| tls_of(tls, topology, &mut mistakes));
        match (tls, mistakes.0) {
            (None, mistakes) if mistakes.is_empty() => Ok(None),
            (Some(Some(tls)), mistakes) if mistakes.is_empty() => Ok(Some(tls)),
            (_, mistakes) => Err(mistakes),
        }
        .map(|tls| Self {
            addresses,
            topology: topology.clone(),
            username: username.clone(),
            password: password.clone(),
            database: *database,
            tls,
            key_prefix: key_prefix.clone(),
            max_updates: *max_updates,
            consume: *consume,
        })
    }
}

fn addresses(texts: &[String], topology: &RedisTopology, mistakes: &mut Mistakes) -> Vec<RedisAddress> {
    if texts.is_empty() {
        mistakes.add("addresses", "must be at least one");
    }
    if *topology == RedisTopology::Standalone && texts.len() > 1 {
        let reason = "is one server with topology Standalone: more are for Sentinel and Cluster";
        mistakes.add("addresses", reason);
    }
    let parsed = texts.iter().enumerate().filter_map(|(index, text)| {
        let parsed = RedisAddress::parse(text);
        if parsed.is_none() {
            mistakes.add(
                format!("addresses[{index}]"),
                "must be a host, a colon and a port, such as redis.crm.svc:6379, without a scheme or a password",
            );
        }
        parsed
    });
    parsed.collect()
}

fn check_topology(topology: &RedisTopology, mistakes: &mut Mistakes) {
    let RedisTopology::Sentinel { service, username, password } = topology else { return };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if service.is_empty() || !service.chars().all(plain) {
        let reason = "must be the name that the sentinels monitor: letters, digits and . - _";
        mistakes.add("topology.service", reason);
    }
    mistakes.credentials("topology.", username.as_deref(), password.as_ref());
}

fn tls_of(tls: &raw::BrokerTls, topology: &RedisTopology, mistakes: &mut Mistakes) -> Option<BrokerTls> {
    if *topology == RedisTopology::Cluster && tls.server_name.is_some() {
        let reason =
            "is not for a Cluster: let each node's certificate be for the host that the node announces";
        mistakes.add("tls.serverName", reason);
    }
    BrokerTls::parse(tls, &mut |field, reason| mistakes.add(field, reason))
}

fn check_database(database: u32, topology: &RedisTopology, mistakes: &mut Mistakes) {
    if *topology == RedisTopology::Cluster && database != 0 {
        mistakes.add("database", "must be 0: a cluster has no other");
    } else if database > MAX_DATABASE {
        mistakes.add("database", format!("must be 0 to {MAX_DATABASE}"));
    }
}

/// Braces would choose the cluster's slot instead of the bot's id, and the wildcards of an access control list would mean something.
fn check_key_prefix(prefix: &str, mistakes: &mut Mistakes) {
    let plain = |c: char| c.is_ascii_alphanumeric() || ":.-_/".contains(c);
    if prefix.len() > MAX_KEY_PREFIX_LENGTH || !prefix.chars().all(plain) {
        let reason = format!("must be at most {MAX_KEY_PREFIX_LENGTH} letters, digits and : . - _ /");
        mistakes.add("keyPrefix", reason);
    }
}

// === impl RedisAddress ===

impl RedisAddress {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_host = match bracketed {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)),
        };
        is_host.then(|| Self { host: bracketed.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

// === impl Mistakes ===

impl Mistakes {
    fn add(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.0.push(RedisMistake { field: field.into(), reason: reason.into() });
    }

    fn credentials(&mut self, place: &str, username: Option<&str>, password: Option<&Secret>) {
        if username.is_some_and(|name| name.is_empty() || name.contains(char::is_whitespace)) {
            self.add(format!("{place}username"), "must be a name without spaces, or left out");
        }
        if username.is_some() && password.is_none() {
            self.add(format!("{place}password"), "is missing: a user has one");
        }
        let Some(Secret(password)) = password else { return };
        if password.is_empty() {
            self.add(format!("{place}password"), "is empty: leave it out where there is none");
        }
        if password.ends_with(['\r', '\n']) {
            self.add(format!("{place}password"), "ends with a newline: was it read from a file?");
        }
    }
}

#[cfg(test)]
mod tests;
