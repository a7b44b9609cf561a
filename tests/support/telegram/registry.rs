//! The bots of a server and their tokens (reference/telegram.md section 8: 401 in its two forms).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    answer::ApiAnswer,
    bot::{Bot, Server},
};

const MAX_TOKEN: usize = 80;

/// A token that can't be registered. Doesn't show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a bot token is <bot id>:<secret>")]
pub struct MalformedToken;

/// Bots by token.
pub struct Registry {
    server: Arc<Server>,
    tokens: Mutex<BTreeMap<String, Entry>>,
}

struct Entry {
    bot: Arc<Bot>,
    revoked: bool,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// No bots.
    pub fn new(server: Arc<Server>) -> Self {
        Self { server, tokens: Mutex::default() }
    }

    /// Makes a token known. A second token of the same bot shares its queue and its slot.
    pub fn add(&self, token: &str, username: Option<&str>) -> Result<Arc<Bot>, MalformedToken> {
        let id = bot_id(token).ok_or(MalformedToken)?;
        let mut tokens = self.lock();
        let known = tokens.values().find(|entry| entry.bot.id == id);
        let bot = known.map_or_else(
            || {
                let username = username.map_or_else(|| format!("bot{id}_bot"), str::to_owned);
                Bot::new(id, username, Arc::clone(&self.server))
            },
            |entry| Arc::clone(&entry.bot),
        );
        let entry = Entry { bot: Arc::clone(&bot), revoked: false };
        tokens.insert(token.to_owned(), entry);
        Ok(bot)
    }

    /// The bot that a token opens.
    pub fn authenticate(&self, token: &str) -> Result<Arc<Bot>, ApiAnswer> {
        if bot_id(token).is_none() {
            return Err(ApiAnswer::error(401, "Unauthorized: invalid token specified"));
        }
        self.lock()
            .get(token)
            .filter(|entry| !entry.revoked)
            .map(|entry| Arc::clone(&entry.bot))
            .ok_or_else(|| ApiAnswer::error(401, "Unauthorized"))
    }

    /// The bot with that id; without an id, the first.
    pub fn bot(&self, id: Option<i64>) -> Option<Arc<Bot>> {
        self.lock().values().map(|entry| &entry.bot).find(|bot| id.is_none_or(|id| bot.id == id)).cloned()
    }

    /// All bots, and whether all of their tokens are revoked.
    pub fn bots(&self) -> Vec<(Arc<Bot>, bool)> {
        let mut bots = BTreeMap::new();
        for entry in self.lock().values() {
            let (_, revoked) = bots.entry(entry.bot.id).or_insert_with(|| (Arc::clone(&entry.bot), true));
            *revoked &= entry.revoked;
        }
        bots.into_values().collect()
    }

    /// Revokes or restores every token of a bot.
    pub fn set_revoked(&self, bot_id: i64, revoked: bool) {
        for entry in self.lock().values_mut().filter(|entry| entry.bot.id == bot_id) {
            entry.revoked = revoked;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digits before the colon.
fn bot_id(token: &str) -> Option<i64> {
    let (id, secret) = token.split_once(':')?;
    let well_formed = token.len() <= MAX_TOKEN
        && !id.starts_with('0')
        && id.bytes().all(|byte| byte.is_ascii_digit())
        && !secret.is_empty();
    id.parse().ok().filter(|id| well_formed && (1..1 << 52).contains(id))
}
