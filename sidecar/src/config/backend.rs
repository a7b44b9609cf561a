//! Where updates wait, checked.

use telegram_webhook_sidecar_config::{self as raw, BackendKind, Consume, bounds::QUEUE_BYTES};

#[cfg(feature = "rabbitmq")]
use super::rabbitmq::{RabbitMqMistake, RabbitMqSettings};
#[cfg(feature = "redis")]
use super::redis::{RedisMistake, RedisSettings};
use super::{problem::Findings, rates::within};

/// Where updates wait.
#[derive(Debug, Clone)]
pub enum Backend {
    Embedded {
        max_bytes: u64,
    },
    #[cfg(feature = "redis")]
    Redis(RedisSettings),
    #[cfg(feature = "rabbitmq")]
    RabbitMq(RabbitMqSettings),
}

// === impl Backend ===

impl Backend {
    /// None together with a finding.
    pub(super) fn parse(backend: &raw::Backend, findings: &mut Findings<'_>) -> Option<Self> {
        match backend {
            raw::Backend::Embedded { max_bytes } => {
                let max_bytes = within("delivery.backend.maxBytes", *max_bytes, QUEUE_BYTES, findings);
                Some(Self::Embedded { max_bytes })
            }
            #[cfg(feature = "redis")]
            raw::Backend::Redis(redis) => {
                let tell = |RedisMistake { field, reason }| {
                    findings.field(format!("delivery.backend.{field}"), reason);
                };
                let settings = RedisSettings::new(redis);
                settings.map_err(|mistakes| mistakes.into_iter().for_each(tell)).ok().map(Self::Redis)
            }
            #[cfg(feature = "rabbitmq")]
            raw::Backend::RabbitMq(rabbitmq) => {
                let tell = |RabbitMqMistake { field, reason }| {
                    findings.field(format!("delivery.backend.{field}"), reason);
                };
                let settings = RabbitMqSettings::new(rabbitmq);
                settings.map_err(|mistakes| mistakes.into_iter().for_each(tell)).ok().map(Self::RabbitMq)
            }
            #[cfg(not(all(feature = "redis", feature = "rabbitmq")))]
            _ => {
                findings.field("delivery.backend.type", "is none that this build of the sidecar knows");
                None
            }
        }
    }

    pub fn kind(&self) -> BackendKind {
        match self {
            Self::Embedded { .. } => BackendKind::Embedded,
            #[cfg(feature = "redis")]
            Self::Redis(_) => BackendKind::Redis,
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq(_) => BackendKind::RabbitMq,
        }
    }

    /// The same, with updates that others take out. None where nobody else could.
    #[must_use]
    pub fn for_others(self) -> Option<Self> {
        match self {
            Self::Embedded { .. } => None,
            #[cfg(feature = "redis")]
            Self::Redis(settings) => Some(Self::Redis(RedisSettings { consume: Consume::Queue, ..settings })),
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq(settings) => {
                Some(Self::RabbitMq(RabbitMqSettings { consume: Consume::Queue, ..settings }))
            }
        }
    }

    /// Who takes the updates out.
    pub fn consume(&self) -> Consume {
        match self {
            Self::Embedded { .. } => Consume::Sidecar,
            #[cfg(feature = "redis")]
            Self::Redis(settings) => settings.consume,
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq(settings) => settings.consume,
        }
    }
}
