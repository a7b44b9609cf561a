//! What the sidecar accepts and where it sends it: the mounted folder or the configuration file, checked once and turned into
//! strong types.
//!
//! Only this module sees the raw files. A [`Webhook`] is whole and valid or isn't built at all, and every mistake in it is
//! reported at once. Folders don't depend on each other: one that is wrong takes no other bot of the pod down. A file is one
//! person's and is taken as a whole. Paths and tokens survive as digests only.

mod address;
mod backend;
#[cfg(any(feature = "rabbitmq", feature = "redis"))]
mod broker_tls;
mod certificate;
mod delivery;
mod filters;
mod place;
mod problem;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
mod rates;
#[cfg(feature = "redis")]
mod redis;
pub mod reload;
mod secret;
mod signature;
mod snapshot;
mod upstream;
mod webhook;

use std::{mem, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use telegram_webhook_sidecar_config::{LoadedConfig, LoadedWebhook};

pub use telegram_webhook_sidecar_config::{AnswerAfter, HmacEncoding};

#[cfg(any(feature = "rabbitmq", feature = "redis"))]
pub use self::broker_tls::BrokerTls;
pub(crate) use self::problem::Findings;
#[cfg(feature = "rabbitmq")]
pub use self::rabbitmq::{RabbitMqAddress, RabbitMqMistake, RabbitMqSettings};
#[cfg(feature = "redis")]
pub use self::redis::{RedisAddress, RedisMistake, RedisSettings};
pub use self::{
    address::{ClientAddress, PortAddresses, SourceAddress},
    backend::Backend,
    delivery::{Delivery, DeliveryMode, ReplyMethods},
    place::Place,
    problem::{Problem, Problems},
    rates::{BanRule, Rate, Rates, StrangerRules},
    secret::SecretDigest,
    signature::{MAC_LENGTH, Mac, Mistake, Signature, SigningKey},
    snapshot::{Snapshot, Source},
    upstream::Upstream,
    webhook::{Limits, Slot, Webhook},
};

/// The policy in use, swapped as a whole: paths, tokens, certificates and upstreams always belong together.
pub type CurrentPolicy = Arc<ArcSwap<Policy>>;

/// Every webhook that is served, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    webhooks: Vec<Arc<Webhook>>,
    /// Places whose webhook is of a former snapshot, because the newest one's can't be used.
    carried_over: Vec<Place>,
    addresses: PortAddresses,
    stranger_rules: StrangerRules,
}

// === impl Policy ===

impl Policy {
    /// The policy that follows this one, and what is wrong with the snapshot: a folder that can't be used keeps the version
    /// that this policy has of it, or is left out; one that is gone, or has no configuration any more, is dropped. Where there is
    /// no folder at all, or a file with a mistake, nothing changes.
    #[must_use]
    pub fn followed_by(&self, snapshot: Snapshot) -> (Self, Vec<Problem>) {
        let parts = match snapshot.parts {
            Ok(parts) => parts,
            Err(problem) => return (self.clone(), vec![problem]),
        };
        let parsed = parts.into_iter().map(|part| (self.former(&part.place), Webhook::parse(part)));
        let mut parsed: Vec<_> = parsed.collect();
        // a newcomer takes no path and no bot from a webhook that was there before, and one that is ahead with another client address,
        // or with another one's bot, keeps none out that still has the port's, or that bot
        parsed.sort_by_key(|(former, webhook)| {
            let gives_way = |webhook: &Webhook| self.moves_on(webhook) || self.takes_a_bot_over(webhook);
            (former.is_none(), webhook.as_ref().is_ok_and(gives_way))
        });
        let mut webhooks: Vec<Arc<Webhook>> = Vec::with_capacity(parsed.len());
        let mut carried_over = Vec::new();
        let mut problems = Vec::new();
        for (former, webhook) in parsed {
            match webhook.and_then(|webhook| without_conflict(webhook, &webhooks)) {
                Ok(webhook) => webhooks.push(Arc::new(webhook)),
                Err(found) => {
                    problems.extend(found);
                    if let Some(former) = former.filter(|former| conflicts(former, &webhooks).is_empty()) {
                        carried_over.push(former.place.clone());
                        webhooks.push(Arc::clone(former));
                    }
                }
            }
        }
        if snapshot.whole && !problems.is_empty() {
            return (self.clone(), problems);
        }
        webhooks.sort_by(|a, b| a.name.cmp(&b.name));
        let addresses = PortAddresses::of(&webhooks);
        let stranger_rules = StrangerRules::of(&webhooks);
        (Self { webhooks, carried_over, addresses, stranger_rules }, problems)
    }

    /// The policy that a snapshot leads to by itself, or all that is wrong with it.
    pub fn check(mut snapshot: Snapshot) -> Result<Self, Problems> {
        let absent = mem::take(&mut snapshot.absent);
        let (policy, problems) = Self::default().followed_by(snapshot);
        if problems.is_empty() && !policy.webhooks.is_empty() {
            Ok(policy)
        } else {
            Err(Problems::of(problems, absent))
        }
    }

    pub fn webhooks(&self) -> &[Arc<Webhook>] {
        &self.webhooks
    }

    /// The rules about addresses that hold before it is known which webhook is meant.
    pub fn addresses(&self) -> &PortAddresses {
        &self.addresses
    }

    /// Whether the address is never banned and never limited as strangers are: see [`PortAddresses::listed`].
    pub fn listed(&self, address: IpAddr) -> bool {
        self.addresses.listed(address)
    }

    /// What holds for whoever hasn't authenticated.
    pub fn stranger_rules(&self) -> &StrangerRules {
        &self.stranger_rules
    }

    /// The webhook that was read from a folder.
    pub fn of_folder(&self, folder: &str) -> Option<&Arc<Webhook>> {
        self.webhooks.iter().find(|webhook| webhook.place.folder() == Some(folder))
    }

    /// What this policy has of a place.
    fn former(&self, place: &Place) -> Option<&Arc<Webhook>> {
        place.folder().and_then(|folder| self.of_folder(folder))
    }

    /// The first webhook that is wanted, if possible one of the newest snapshot: what was carried over may be out of date.
    pub fn freshest(&self, wanted: impl Fn(&Webhook) -> bool) -> Option<&Arc<Webhook>> {
        let wanted = self.webhooks.iter().filter(|webhook| wanted(webhook));
        wanted.min_by_key(|webhook| self.carried_over.contains(&webhook.place))
    }

    /// Whether the client's address is no longer found where it was.
    fn moves_on(&self, webhook: &Webhook) -> bool {
        !self.webhooks.is_empty() && webhook.client_address != self.addresses.client
    }

    /// Whether the webhook's bot was that of another folder.
    fn takes_a_bot_over(&self, webhook: &Webhook) -> bool {
        let mut of_bot = self.webhooks.iter().filter(|other| other.bot_id == webhook.bot_id);
        of_bot.any(|other| other.place.folder() != webhook.place.folder())
    }

    /// Which version of what is in use, for the operator.
    pub fn loaded(&self) -> LoadedConfig {
        LoadedConfig { webhooks: self.webhooks.iter().map(|webhook| webhook.loaded()).collect() }
    }
}

impl Webhook {
    /// Which version of it this is.
    pub fn loaded(&self) -> LoadedWebhook {
        LoadedWebhook {
            webhook: self.name.to_string(),
            digest: self.digest.clone(),
            slots: self.slots.iter().map(|slot| slot.id).collect(),
            certificate_digest: self.certificate_digest.clone(),
            source_visible: None,
            delivery: None,
        }
    }
}

fn without_conflict(webhook: Webhook, others: &[Arc<Webhook>]) -> Result<Webhook, Vec<Problem>> {
    let problems = conflicts(&webhook, others);
    if problems.is_empty() { Ok(webhook) } else { Err(problems) }
}

/// What is wrong between webhooks that are right by themselves: a path alone must tell which one is meant, the client's address is
/// found before that, and of two webhooks of a bot Telegram knows one, and its updates wait in one queue, from which one CRM gets them.
fn conflicts(webhook: &Webhook, others: &[Arc<Webhook>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for other in others {
        if other.client_address != webhook.client_address {
            let reason = format!("{} has another, and a port has one", other.place);
            problems.push(Problem::field(&webhook.place, "clientAddress", reason));
        }
        let mut same = |field: String, why: &str| {
            let reason = format!("{} has the same{why}", other.place);
            problems.push(Problem::field(&webhook.place, field, reason));
        };
        if other.name == webhook.name {
            same("webhook".to_owned(), "");
        }
        if other.bot_id == webhook.bot_id {
            same(
                "botId".to_owned(),
                ", and a bot has one webhook: remove one of the two, or name another bot",
            );
        }
        for (position, slot) in webhook.slots.iter().enumerate() {
            if other.slots.iter().any(|other| bool::from(other.path.matches(&slot.path))) {
                same(format!("slots[{position}].path"), "");
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests;
