//! Where a RabbitMQ is and how to connect to it, checked. No mistake and no debug output holds a password.

use std::{fmt, net::Ipv6Addr};

use telegram_webhook_sidecar_config::{
    self as raw, Consume, Secret,
    bounds::{MAX_NAME_PREFIX_LENGTH, PARTITIONS, QUEUED_UPDATES},
};

use super::BrokerTls;

/// Longest text that the protocol takes as a name.
const MAX_NAME_LENGTH: usize = 255;

/// A RabbitMQ, as the configuration describes it.
#[derive(Debug, Clone)]
pub struct RabbitMqSettings {
    /// At least one.
    pub addresses: Vec<RabbitMqAddress>,
    pub virtual_host: String,
    pub username: String,
    pub password: Secret,
    pub tls: Option<BrokerTls>,
    /// What the names of all queues begin with.
    pub name_prefix: String,
    /// Queues that the lanes of a bot are spread over.
    pub partitions: u32,
    /// Most updates of a bot that wait.
    pub max_updates: u64,
    pub consume: Consume,
}

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RabbitMqAddress {
    /// A name or an address, an IPv6 one without its brackets.
    pub host: String,
    pub port: u16,
}

/// What is wrong with one field. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct RabbitMqMistake {
    /// Below `delivery.backend`.
    pub field: String,
    pub reason: String,
}

/// The mistakes, as they are found.
struct Mistakes(Vec<RabbitMqMistake>);

// === impl RabbitMqSettings ===

impl RabbitMqSettings {
    /// Checks what the file says and reports all that is wrong with it.
    pub fn new(rabbitmq: &raw::RabbitMq) -> Result<Self, Vec<RabbitMqMistake>> {
        let raw::RabbitMq {
            addresses,
            virtual_host,
            username,
            password,
            tls,
            name_prefix,
            partitions,
            max_updates,
            consume,
        } = rabbitmq;
        let mut mistakes = Mistakes(Vec::new());
        let addresses = self::addresses(addresses, &mut mistakes);
        check_credentials(virtual_host, username, password, &mut mistakes);
        let tls =
            tls.as_ref().map(|tls| BrokerTls::parse(tls, &mut |field, reason| mistakes.add(field, reason)));
        let plain = |c: char| c.is_ascii_alphanumeric() || ":.-_/".contains(c);
        if !(1..=MAX_NAME_PREFIX_LENGTH).contains(&name_prefix.len()) || !name_prefix.chars().all(plain) {
            let reason = format!("must be 1 to {MAX_NAME_PREFIX_LENGTH} letters, digits and : . - _ /");
            mistakes.add("namePrefix", reason);
        }
        // the broker keeps such names for itself
        if name_prefix.starts_with("amq.") {
            mistakes.add("namePrefix", "must not begin with amq.");
        }
        if !PARTITIONS.contains(partitions) {
            mistakes.add("partitions", format!("must be {} to {}", PARTITIONS.start(), PARTITIONS.end()));
        }
        if !QUEUED_UPDATES.contains(max_updates) {
            let (least, most) = (QUEUED_UPDATES.start(), QUEUED_UPDATES.end());
            mistakes.add("maxUpdates", format!("must be {least} to {most}"));
        }
        let Mistakes(mistakes) = mistakes;
        let tls = match tls {
            None => None,
            // it is none only together with a mistake
            Some(tls) => Some(tls.ok_or_else(|| mistakes.clone())?),
        };
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            addresses,
            virtual_host: virtual_host.clone(),
            username: username.clone(),
            password: password.clone(),
            tls,
            name_prefix: name_prefix.clone(),
            partitions: *partitions,
            max_updates: *max_updates,
            consume: *consume,
        })
    }
}

fn addresses(texts: &[String], mistakes: &mut Mistakes) -> Vec<RabbitMqAddress> {
    if texts.is_empty() {
        mistakes.add("addresses", "must be at least one");
    }
    let parsed = texts.iter().enumerate().filter_map(|(index, text)| {
        let parsed = RabbitMqAddress::parse(text);
        if parsed.is_none() {
            mistakes.add(
                format!("addresses[{index}]"),
                "must be a host, a colon and a port, such as rabbitmq.crm.svc:5672, without a scheme or a password",
            );
        }
        parsed
    });
    parsed.collect()
}

fn check_credentials(virtual_host: &str, username: &str, password: &Secret, mistakes: &mut Mistakes) {
    if virtual_host.is_empty() || virtual_host.len() > MAX_NAME_LENGTH {
        mistakes
            .add("virtualHost", format!("must be 1 to {MAX_NAME_LENGTH} bytes; the first one is called /"));
    }
    if username.is_empty() || username.contains(char::is_whitespace) {
        mistakes.add("username", "must be a name without spaces");
    }
    let Secret(password) = password;
    if password.is_empty() {
        mistakes.add("password", "is empty: RabbitMQ refuses that");
    }
    if password.ends_with(['\r', '\n']) {
        mistakes.add("password", "ends with a newline: was it read from a file?");
    }
}

// === impl RabbitMqAddress ===

impl RabbitMqAddress {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_host = match bracketed {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)),
        };
        is_host.then(|| Self { host: bracketed.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for RabbitMqAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

// === impl Mistakes ===

impl Mistakes {
    fn add(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.0.push(RabbitMqMistake { field: field.into(), reason: reason.into() });
    }
}

#[cfg(test)]
mod tests;
