//! One webhook, checked: what to accept, for which name, and where the CRM listens.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use rustls::{
    pki_types::{DnsName, UnixTime},
    sign::CertifiedKey,
};
use telegram_webhook_sidecar_config::{
    self as raw,
    bounds::{BODY_BYTES, BODY_TIMEOUT_SECONDS, MAX_TOKEN_LENGTH, UPSTREAM_TIMEOUT_SECONDS},
    digest as file_digest,
};

use super::{
    ClientAddress, Delivery, Place, Problem, Rates, SourceAddress, Upstream, certificate,
    problem::Findings,
    rates::within,
    secret::SecretDigest,
    signature::{self, Signature},
    snapshot::Part,
};
use crate::{
    ingress::{Source, filter::Filter},
    metrics::Tally,
};

/// Two slots during a rotation, one otherwise.
const MAX_SLOTS: usize = 2;

/// One bot's webhook.
pub struct Webhook {
    /// Where it was read from.
    pub place: Place,
    /// `namespace/name` of the `TelegramWebhook`.
    pub name: Arc<str>,
    /// The bot's user id.
    pub bot_id: i64,
    /// DNS name that Telegram connects to.
    pub host: DnsName<'static>,
    /// Accepted pairs of path and token; the first is the current one.
    pub slots: Vec<Slot>,
    /// Where the CRM takes updates.
    pub upstream: Upstream,
    pub client_address: ClientAddress,
    pub source_address: SourceAddress,
    pub limits: Limits,
    /// Which updates the CRM gets.
    pub filter: Filter,
    /// How they reach it.
    pub delivery: Delivery,
    /// How a relay signs, where one does.
    pub signature: Option<Signature>,
    /// Chain and key, known to belong together.
    pub certificate: Arc<CertifiedKey>,
    /// Names the version of the configuration file.
    pub digest: String,
    /// Names the version of the certificate chain.
    pub certificate_digest: String,
    /// Its metrics, as far as they have been looked up.
    pub tally: Tally,
    /// What has been seen of it, once that has been looked up.
    pub source: OnceLock<Arc<Mutex<Source>>>,
}

/// A pair of path and token that Telegram was told.
#[derive(Debug)]
pub struct Slot {
    pub id: i64,
    pub path: SecretDigest,
    pub token: SecretDigest,
}

/// Bounds on a request.
#[derive(Debug, Clone)]
pub struct Limits {
    pub max_body_bytes: usize,
    pub body_timeout: Duration,
    pub upstream_timeout: Duration,
    pub rates: Rates,
}

// === impl Webhook ===

impl Webhook {
    /// Checks what was read of one webhook and reports all that is wrong with it.
    pub(super) fn parse(part: Part) -> Result<Self, Vec<Problem>> {
        let Part { place, config: bytes, parsed, certificate } = part;
        let mut findings = Findings::new(&place);
        let certificate = certificate.and_then(|files| certificate::parse(files, &mut findings));
        let Some(config) = parsed.map_err(|problem| findings.problem(problem)).ok() else {
            return Err(findings.into_problems());
        };
        let bot_id = bot_id(config.bot_id, &mut findings);
        let name = name(&config.webhook, &mut findings);
        let host = host(&config.host, &mut findings);
        let slots = slots(&config.slots, &mut findings);
        let upstream = Upstream::parse(&config.upstream, &mut findings);
        let client_address = ClientAddress::parse(&config.client_address, &mut findings);
        let source_address = SourceAddress::parse(&config.source_address, &mut findings);
        let signature = signature::parse(config.hmac.as_ref(), &mut findings);
        let limits = limits(&config, &mut findings);
        let filter = Filter::parse(&config.filter, &mut findings);
        let delivery = Delivery::parse(&config.delivery, &mut findings);
        fits(&limits, &config.delivery, &mut findings);
        let problems = findings.into_problems();
        // each of these is `None` only together with a problem
        let (Some(host), Some(upstream), Some((certificate, certificate_digest)), true) =
            (host, upstream, certificate, problems.is_empty())
        else {
            return Err(problems);
        };
        Ok(Self {
            place,
            name,
            bot_id,
            host,
            tally: Tally::of(&slots),
            source: OnceLock::new(),
            slots,
            upstream,
            client_address,
            source_address,
            signature,
            limits,
            filter,
            delivery,
            certificate,
            digest: file_digest(&bytes),
            certificate_digest,
        })
    }
}

impl Webhook {
    /// What Telegram may not take, though it can be used here.
    pub fn doubts(&self) -> Vec<Problem> {
        certificate::doubts(self, UnixTime::now())
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What is let in can be stored.
fn fits(limits: &Limits, delivery: &raw::Delivery, findings: &mut Findings<'_>) {
    if let Some(longest) = delivery.longest_body().filter(|longest| limits.max_body_bytes > *longest) {
        let reason = format!("must be at most {longest} with this delivery.backend.maxBytes");
        findings.field("limits.maxBodyBytes", reason);
    }
}

fn name(name: &str, findings: &mut Findings<'_>) -> Arc<str> {
    let parts: Vec<_> = name.split('/').collect();
    if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) {
        findings.field("webhook", "must be two names with a slash between, such as crm/support");
    }
    name.into()
}

fn bot_id(id: i64, findings: &mut Findings<'_>) -> i64 {
    if id <= 0 {
        findings.field("botId", "must be above 0");
    }
    id
}

fn host(host: &str, findings: &mut Findings<'_>) -> Option<DnsName<'static>> {
    let parsed = DnsName::try_from(host.to_ascii_lowercase()).ok();
    if parsed.is_none() {
        findings.field("host", "must be a DNS name");
    }
    parsed
}

fn slots(slots: &[raw::Slot], findings: &mut Findings<'_>) -> Vec<Slot> {
    if slots.is_empty() || slots.len() > MAX_SLOTS {
        findings.field("slots", format!("must be 1 to {MAX_SLOTS}"));
    }
    for (index, slot) in slots.iter().enumerate() {
        if slot.id < 1 {
            findings.field(format!("slots[{index}].id"), "must be above 0");
        }
        if slots.iter().take(index).any(|earlier| earlier.id == slot.id) {
            findings.field(format!("slots[{index}].id"), "is that of another slot too");
        }
        if !is_plain_path(&slot.path) || slot.path.len() < 2 {
            let reason = "must be a slash and more, of letters, digits and - . _ ~ / only";
            findings.field(format!("slots[{index}].path"), reason);
        }
        if !is_token(&slot.secret_token) {
            findings.field(format!("slots[{index}].secretToken"), token_mistake());
        }
    }
    let digests = slots.iter().map(|slot| Slot {
        id: slot.id,
        path: SecretDigest::of(&slot.path),
        token: SecretDigest::of(&slot.secret_token),
    });
    digests.collect()
}

/// Whether a client sends the path byte for byte as it is written: nothing in it is ever encoded.
fn is_plain_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    path.starts_with('/') && path.chars().all(plain)
}

/// Whether Telegram would take it as a token.
pub(super) fn is_token(token: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=MAX_TOKEN_LENGTH).contains(&token.len()) && token.bytes().all(allowed)
}

pub(super) fn token_mistake() -> String {
    format!("must be 1 to {MAX_TOKEN_LENGTH} letters, digits, _ and -")
}

fn limits(config: &raw::WebhookConfig, findings: &mut Findings<'_>) -> Limits {
    let &raw::Limits { max_body_bytes, body_timeout_seconds, upstream_timeout_seconds, .. } = &config.limits;
    let mut seconds = |field, seconds, bounds| Duration::from_secs(within(field, seconds, bounds, findings));
    let body_timeout = seconds("limits.bodyTimeoutSeconds", body_timeout_seconds, BODY_TIMEOUT_SECONDS);
    let upstream_timeout =
        seconds("limits.upstreamTimeoutSeconds", upstream_timeout_seconds, UPSTREAM_TIMEOUT_SECONDS);
    Limits {
        max_body_bytes: within("limits.maxBodyBytes", max_body_bytes, BODY_BYTES, findings),
        body_timeout,
        upstream_timeout,
        rates: Rates::parse(config, findings),
    }
}
