//! What the operator keeps in the child Secret: the sidecar's configuration, whose slots are minted once and read back ever
//! after, and the parameters that Telegram accepted last, so that they can be put back after a refusal erased them.

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use telegram_webhook_sidecar_config::{
    CONFIG_FILE, Secret as SecretText, Slot, WebhookConfig, bounds::KEY_PREFIX, digest,
};
use url::Url;

use crate::telegram::{Bot, WebhookParameters};

/// Key of [`Accepted`] in the child Secret. It isn't mounted into pods.
pub const ACCEPTED_FILE: &str = "registered.json";
const SEGMENT_BYTES: usize = 16;
const TOKEN_BYTES: usize = 32;

/// Key of [`Refused`] in the child Secret.
pub const REFUSED_FILE: &str = "refused.json";
/// Key of [`Superseded`] in the child Secret.
pub const SUPERSEDED_FILE: &str = "superseded.json";

/// Key of [`FormerKey`] in the child Secret.
pub const FORMER_KEY_FILE: &str = "former-signing-key.json";

/// The readable content of a child Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The sidecar's configuration.
    pub config: WebhookConfig,
    /// What Telegram accepted last, if it ever did.
    pub accepted: Option<Accepted>,
    /// What Telegram refused since then.
    pub refused: Option<Refused>,
    /// The configuration before it, if that served all that it serves.
    pub superseded: Option<Superseded>,
    /// The key that deliveries were signed with before the present one.
    pub former_key: Option<FormerKey>,
    /// Names the configuration.
    pub digest: String,
}

/// What Telegram accepted last.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// Server that accepted it.
    pub api_server: String,
    /// Bot it was for.
    pub bot_id: i64,
    /// The slot in it.
    pub slot: i64,
    /// The parameters.
    pub parameters: WebhookParameters,
}

/// What Telegram refused. Kept, because each attempt erases the webhook that works for a moment.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Names the parameters.
    pub fingerprint: String,
    /// Telegram's words.
    pub description: String,
    /// When, the last time.
    pub at: Timestamp,
    /// How many times in a row.
    #[serde(default = "once")]
    pub times: u32,
}

/// A configuration that differs from the one after it by a slot or a signing key more: whatever has loaded it serves the other's slot
/// and signs with its key too.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Superseded {
    /// Names it.
    pub digest: String,
    /// Names the one after it.
    pub by: String,
}

/// A key that deliveries go on being signed with beside the present one, for a CRM that doesn't know that yet.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FormerKey {
    /// The key.
    pub key: SecretText,
    /// When that ends.
    pub until: Timestamp,
}

fn once() -> u32 {
    1
}

/// The child Secret holds something else than we wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key {key}: {problem}")]
pub struct Unreadable {
    /// Key in the Secret.
    pub key: &'static str,
    /// What is wrong, without any value.
    pub problem: String,
}

/// Randomness for one slot and one signing key. Drawn before it is known whether it is needed, so that the rest stays pure.
pub struct Material {
    segment: String,
    secret_token: String,
    signing_key: String,
}

// === impl Stored ===

impl Stored {
    /// Reads a child Secret.
    pub fn read(secret: &Secret) -> Result<Self, Unreadable> {
        let config = value(secret, CONFIG_FILE).ok_or_else(|| unreadable(CONFIG_FILE, "is missing"))?;
        let digest = digest(config);
        let config =
            WebhookConfig::parse(config).map_err(|error| unreadable(CONFIG_FILE, &error.to_string()))?;
        if config.slots.is_empty() || config.slots.len() > 2 {
            return Err(unreadable(CONFIG_FILE, "slots: one or two are expected"));
        }
        Ok(Self {
            config,
            accepted: read_json(secret, ACCEPTED_FILE)?,
            refused: read_json(secret, REFUSED_FILE)?,
            superseded: read_json(secret, SUPERSEDED_FILE)?,
            former_key: read_json(secret, FORMER_KEY_FILE)?,
            digest,
        })
    }

    /// Whether all of it is this bot's at this server. What another one was told is known to whoever holds that one's token, and
    /// runs that server: it must not be told again.
    pub fn is_for(&self, bot: &Bot) -> bool {
        let bot_id = bot.token.bot_id();
        let accepted = self.accepted.as_ref();
        self.config.bot_id == bot_id
            && accepted.is_none_or(|accepted| accepted.bot_id == bot_id && accepted.api_server == bot.server)
    }

    /// What Telegram accepted last, if it is this bot's at this server and the sidecars are still given its slot.
    pub fn in_use(&self, bot: &Bot) -> Option<&Accepted> {
        let accepted = self.accepted.as_ref().filter(|_| self.is_for(bot))?;
        self.config.slots.iter().any(|slot| slot.id == accepted.slot).then_some(accepted)
    }

    /// What `next`, which `digest` names, supersedes: this configuration if `next` only takes slots or signing keys away, else what it
    /// has superseded already.
    pub fn superseded_by(&self, next: &WebhookConfig, digest: &str) -> Option<Superseded> {
        let mut rest = self.config.clone();
        rest.slots.truncate(next.slots.len());
        rest.delivery.signing_keys.truncate(next.delivery.signing_keys.len());
        if rest != self.config && rest == *next {
            return Some(Superseded { digest: self.digest.clone(), by: digest.to_owned() });
        }
        self.superseded.clone().filter(|superseded| superseded.by == digest)
    }

    /// Number of the newest slot.
    pub fn newest(&self) -> Option<i64> {
        self.config.slots.iter().map(|slot| slot.id).max()
    }
}

// === impl Accepted ===

impl Accepted {
    /// The public port in the URL.
    pub fn port(&self) -> Option<u16> {
        self.url()?.port_or_known_default()
    }

    /// The host in the URL.
    pub fn host(&self) -> Option<String> {
        self.url()?.host_str().map(str::to_owned)
    }

    fn url(&self) -> Option<Url> {
        Url::parse(&self.parameters.url).ok()
    }
}

// === impl Refused ===

impl Refused {
    /// Whether it is these parameters that were refused.
    pub fn is_of(&self, wanted: &Accepted) -> bool {
        self.fingerprint == wanted.parameters.fingerprint()
    }
}

// === impl Material ===

impl Material {
    /// Draws 128 bits for the path and 256 for the secret token and the signing key each.
    pub fn draw() -> Result<Self, getrandom::Error> {
        use base64::Engine as _;
        let mut segment = [0; SEGMENT_BYTES];
        getrandom::fill(&mut segment)?;
        let mut token = [0; TOKEN_BYTES];
        getrandom::fill(&mut token)?;
        let mut key = [0; TOKEN_BYTES];
        getrandom::fill(&mut key)?;
        let key = base64::engine::general_purpose::STANDARD.encode(key);
        Ok(Self {
            segment: hex::encode(segment),
            secret_token: base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token),
            signing_key: format!("{KEY_PREFIX}{key}"),
        })
    }

    /// A key to sign deliveries with.
    pub fn signing_key(&self) -> SecretText {
        SecretText(self.signing_key.clone())
    }

    fn slot(self, id: i64, prefix: &str) -> Slot {
        Slot { id, path: format!("{prefix}/{}", self.segment), secret_token: self.secret_token }
    }
}

/// What is known of the slots so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slots<'a> {
    /// Those that are served, the current one first.
    pub served: &'a [Slot],
    /// The one that Telegram was told last.
    pub told: Option<i64>,
    /// Whether the status has been saying so too, for long enough: written last, it shows that a pass since then has seen
    /// everything in place.
    pub settled: bool,
    /// The last number given to any.
    pub newest: i64,
}

/// The slots to serve, the current one first. Minted only if there are none, or none under `prefix`; then the slot that
/// Telegram was told stays beside the new one, so that nothing is lost, until Telegram has settled on the new one.
pub fn slots(known: Slots<'_>, prefix: &str, material: Material) -> Vec<Slot> {
    let Some(current) = known.served.first() else {
        return vec![material.slot(known.newest + 1, prefix)];
    };
    if is_under(&current.path, prefix) {
        let is_told = known.settled && known.told == Some(current.id);
        return if is_told { vec![current.clone()] } else { known.served.to_vec() };
    }
    let told = known.served.iter().find(|slot| Some(slot.id) == known.told).unwrap_or(current);
    vec![material.slot(known.newest + 1, prefix), told.clone()]
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).is_some_and(|segment| {
        segment.len() == 2 * SEGMENT_BYTES && segment.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// Writes one key of our Secret.
pub fn put(secret: &mut Secret, key: &str, value: &impl Serialize) {
    // serialising plain structs of strings and numbers to memory has no way to fail
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    secret.data.get_or_insert_default().insert(key.to_owned(), ByteString(bytes));
}

fn read_json<T: DeserializeOwned>(secret: &Secret, key: &'static str) -> Result<Option<T>, Unreadable> {
    value(secret, key)
        .map(serde_json::from_slice)
        .transpose()
        .map_err(|_| unreadable(key, "is not what the operator wrote"))
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    let ByteString(bytes) = secret.data.as_ref()?.get(key)?;
    Some(bytes)
}

fn unreadable(key: &'static str, problem: &str) -> Unreadable {
    Unreadable { key, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material() -> Material {
        Material::draw().unwrap()
    }

    fn minted(id: i64, prefix: &str) -> Slot {
        material().slot(id, prefix)
    }

    #[test]
    fn a_slot_is_as_long_as_promised_and_never_the_same_twice() {
        let (a, b) = (minted(1, "/telegram"), minted(1, "/telegram"));
        assert_eq!((a.path.len(), a.secret_token.len()), ("/telegram/".len() + 32, 43));
        assert!(a.path != b.path && a.secret_token != b.secret_token);
    }

    fn known(served: &[Slot], told: Option<i64>, newest: i64) -> Slots<'_> {
        Slots { served, told, settled: false, newest }
    }

    fn first() -> Vec<Slot> {
        slots(Slots::default(), "/telegram", material())
    }

    fn ids(slots: &[Slot]) -> Vec<i64> {
        slots.iter().map(|slot| slot.id).collect()
    }

    #[test]
    fn the_first_slot_is_1_and_stays() {
        let first = first();
        assert_eq!(ids(&first), [1]);
        assert_eq!(slots(known(&first, Some(1), 1), "/telegram", material()), first);
    }

    #[test]
    fn numbers_are_not_used_again_after_the_secret_was_lost() {
        assert_eq!(ids(&slots(known(&[], Some(4), 4), "/telegram", material())), [5]);
    }

    #[test]
    fn another_prefix_gets_a_new_slot_beside_the_one_that_telegram_was_told() {
        let first = first();
        let second = slots(known(&first, Some(1), 1), "/hooks", material());
        assert!(second[0].path.starts_with("/hooks/") && second[0].id == 2);
        assert_eq!(second[1], first[0]);
        // once more, before Telegram was told of slot 2, and after
        let third = slots(known(&second, Some(1), 2), "", material());
        assert_eq!(ids(&third), [3, 1]);
        assert_eq!(third[0].path.len(), 33);
        assert_eq!(ids(&slots(known(&second, Some(2), 2), "", material())), [3, 2]);
    }

    #[test]
    fn the_former_slot_goes_once_telegram_has_settled_on_the_new_one() {
        let second = slots(known(&first(), Some(1), 1), "/hooks", material());
        let after = |told, settled| {
            ids(&slots(Slots { served: &second, told: Some(told), settled, newest: 2 }, "/hooks", material()))
        };
        assert_eq!(after(1, true), [2, 1]);
        assert_eq!(after(2, false), [2, 1]);
        assert_eq!(after(2, true), [2]);
    }

    #[test]
    fn a_longer_prefix_is_another_prefix() {
        let first = slots(Slots::default(), "/a/b", material());
        assert_eq!(slots(known(&first, Some(1), 1), "/a", material())[0].id, 2);
    }
}
