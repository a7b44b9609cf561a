//! How many requests a client may make: 429 beyond. There are two budgets:
//!
//! * *unauthenticated*: of requests that fail to authenticate, by address. It is taken from only when a request has failed, and so
//!   never stands in the way of one that doesn't: anybody can have Telegram send us requests with a wrong token.
//! * *authenticated*: of requests with the right token, by bot and address.

use std::{net::IpAddr, time::Duration};

use super::Reject;
use crate::{
    address::{self, AddressKey},
    bans::MAX_STRANGERS,
    config::{Rate, Webhook},
    sliding_window::Windows,
};

/// Whoever has the token is Telegram or a relay.
const MAX_AUTHENTICATED: usize = 4096;
/// Telegram's back-off of a chat grows to minutes when it isn't told less.
const MAX_RETRY_AFTER: u64 = 5;

/// The budgets of all clients.
pub struct RateLimits {
    unauthenticated: Windows<AddressKey>,
    /// By the bot, which has one webhook: so that a new version of that is the same one.
    authenticated: Windows<(i64, AddressKey)>,
}

/// What a request is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    Unauthenticated,
    Authenticated,
}

// === impl Budget ===

impl Budget {
    /// Which requests it is of.
    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Unauthenticated => "failed to authenticate",
            Self::Authenticated => "had the right token",
        }
    }
}

// === impl RateLimits ===

impl RateLimits {
    pub fn new() -> Self {
        Self { unauthenticated: Windows::new(MAX_STRANGERS), authenticated: Windows::new(MAX_AUTHENTICATED) }
    }

    /// Takes a request that failed to authenticate from its client's budget.
    pub(crate) fn unauthenticated(&self, client: IpAddr, rate: Rate) -> Result<(), Reject> {
        let taken = self.unauthenticated.take(address::key(client), rate);
        taken.map_err(|wait| reject(Budget::Unauthenticated, wait))
    }

    /// Takes an authenticated request from its client's budget.
    pub(super) fn authenticated(&self, client: IpAddr, webhook: &Webhook) -> Result<(), Reject> {
        let key = (webhook.bot_id, address::key(client));
        let taken = self.authenticated.take(key, webhook.limits.rates.authenticated);
        taken.map_err(|wait| reject(Budget::Authenticated, wait))
    }

    /// Bytes of all that is in use.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> usize {
        self.unauthenticated.memory() + self.authenticated.memory()
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::new()
    }
}

fn reject(budget: Budget, wait: Duration) -> Reject {
    // whole seconds, and not a moment too early
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
    let retry_after = match budget {
        Budget::Unauthenticated => seconds,
        Budget::Authenticated => seconds.min(MAX_RETRY_AFTER),
    };
    Reject::RateLimited { budget, retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_told_in_whole_seconds_never_too_few_and_to_telegram_never_many() {
        let told = |budget, milliseconds| match reject(budget, Duration::from_millis(milliseconds)) {
            Reject::RateLimited { retry_after, .. } => retry_after,
            other => panic!("{other:?}"),
        };
        for (wait, unauthenticated, authenticated) in
            [(0, 1, 1), (1, 1, 1), (1000, 1, 1), (1001, 2, 2), (5001, 6, 5), (4_050_000, 4050, 5)]
        {
            assert_eq!(told(Budget::Unauthenticated, wait), unauthenticated, "{wait}");
            assert_eq!(told(Budget::Authenticated, wait), authenticated, "{wait}");
        }
    }
}
