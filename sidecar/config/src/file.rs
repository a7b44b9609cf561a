//! The configuration file of a sidecar that runs without an operator: all webhooks, and where their certificates are.
//!
//! ```text
//! {"webhooks": [{<fields of WebhookConfig>, "tls": {"certificateFile": "hooks.crt", "keyFile": "hooks.key"}}]}
//! ```

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, IntoDeserializer as _, MapAccess, Visitor,
        value::{self, MapAccessDeserializer},
    },
};
use serde_json::value::RawValue;

use crate::{
    ParseError, WebhookConfig,
    parse::{Position, parse_at},
};

/// Name of the field that a webhook has in a file and not in a folder.
const TLS: &str = "tls";

/// One webhook of a file.
pub struct FileWebhook<'a> {
    /// As it is written in the file, for [`digest`](crate::digest).
    pub bytes: &'a [u8],
    /// What it says; errors name fields from the webhook on.
    pub content: Result<FileContent, ParseError>,
}

// the bytes hold secrets
impl fmt::Debug for FileWebhook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWebhook").field("content", &self.content).finish_non_exhaustive()
    }
}

/// What a file says of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// The same as in a folder.
    pub config: WebhookConfig,
    /// Where its certificate is.
    pub tls: TlsFiles,
}

/// Where a certificate is. Paths are relative to the folder of the file that names them.
#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate chain, PEM, leaf first.
    pub certificate_file: String,
    /// Its private key, PEM.
    pub key_file: String,
}

/// Reads a file, so far as it is JSON of the right outline; each webhook is read by itself.
pub fn parse_file(bytes: &[u8]) -> Result<Vec<FileWebhook<'_>>, ParseError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outline<'a> {
        #[serde(borrow)]
        webhooks: Vec<&'a RawValue>,
    }
    let Outline { webhooks } = parse_at(Position::START, bytes)?;
    let mut webhooks_read = Vec::with_capacity(webhooks.len());
    let mut position = Position::START;
    let mut rest = bytes;
    for webhook in webhooks {
        let webhook = webhook.get().as_bytes();
        // both are slices of the file, one behind the other
        let skipped = webhook.as_ptr().addr().saturating_sub(rest.as_ptr().addr());
        let (before, from_here) = rest.split_at_checked(skipped).unwrap_or_default();
        position = position.after(before);
        webhooks_read.push(FileWebhook { bytes: webhook, content: parse_at(position, webhook) });
        rest = from_here;
    }
    Ok(webhooks_read)
}

// Takes `tls` out on the way and leaves the rest to `WebhookConfig`: serde's `flatten` would let unknown fields pass.
impl<'de> Deserialize<'de> for FileContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = FileContent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a webhook")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FileContent, A::Error> {
        let mut tls = None;
        let fields = WithoutTls { map, tls: &mut tls };
        let config = WebhookConfig::deserialize(MapAccessDeserializer::new(fields))?;
        let tls = tls.ok_or_else(|| serde::de::Error::missing_field(TLS))?;
        Ok(FileContent { config, tls })
    }
}

/// The fields of a map, except `tls`.
struct WithoutTls<'a, A> {
    map: A,
    tls: &'a mut Option<TlsFiles>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for WithoutTls<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, mut seed: K) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.map.next_key_seed(KeySeed(seed))? {
                None => return Ok(None),
                Some(Key::Other(key)) => return Ok(Some(key)),
                Some(Key::Tls(_)) if self.tls.is_some() => {
                    return Err(serde::de::Error::duplicate_field(TLS));
                }
                Some(Key::Tls(unused)) => {
                    *self.tls = Some(self.map.next_value()?);
                    seed = unused;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// Reads a name of a field with the seed, unless it is `tls`.
struct KeySeed<K>(K);

enum Key<K, V> {
    /// The seed wasn't needed.
    Tls(K),
    Other(V),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for KeySeed<K> {
    type Value = Key<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == TLS {
            return Ok(Key::Tls(self.0));
        }
        // a name that isn't known is followed by a list of those that are
        self.0
            .deserialize(name.into_deserializer())
            .map(Key::Other)
            .map_err(|unknown: value::Error| serde::de::Error::custom(format_args!("{unknown}, `{TLS}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEBHOOK: &str = r#"{
        "webhook": "crm/support",
        "tls": {"certificateFile": "a.crt", "keyFile": "/keys/a.key"},
        "botId": 1, "host": "a.example.com", "upstream": {"port": 3000, "path": "/u"},
        "slots": [{"id": 1, "path": "/p", "secretToken": "TOKEN"}]
    }"#;

    fn file(webhooks: &[&str]) -> String {
        format!("{{\n  \"webhooks\": [{}]\n}}", webhooks.join(",\n"))
    }

    fn error_of(webhook: &str) -> ParseError {
        let file = file(&[WEBHOOK, webhook]);
        parse_file(file.as_bytes()).unwrap().remove(1).content.unwrap_err()
    }

    #[test]
    fn a_webhook_is_what_a_folder_would_say_and_its_certificate() {
        let file = file(&[WEBHOOK, WEBHOOK]);
        for webhook in parse_file(file.as_bytes()).unwrap() {
            assert_eq!(webhook.bytes, WEBHOOK.as_bytes());
            let FileContent { config, tls } = webhook.content.unwrap();
            assert_eq!((&*config.webhook, config.slots.len()), ("crm/support", 1));
            let expected = TlsFiles { certificate_file: "a.crt".into(), key_file: "/keys/a.key".into() };
            assert_eq!(tls, expected);
        }
    }

    #[test]
    fn unknown_missing_and_doubled_fields_are_errors_that_name_their_place() {
        for (from, to, field, reason) in [
            ("keyFile", "keyfile", "tls.keyfile", "unknown field `keyfile`"),
            ("botId", "bot", "bot", "`limits`, `filter`, `delivery`, `tls` at line"),
            (r#""path": "/p""#, r#""pth": "/p""#, "slots[0].pth", "unknown field `pth`"),
            (
                r#""keyFile": "/keys/a.key""#,
                r#""certificateFile": """#,
                "tls",
                "duplicate field `certificateFile`",
            ),
            (r#""botId": 1,"#, "", ".", "missing field `botId`"),
            (
                r#""upstream""#,
                r#""tls": {"certificateFile": "", "keyFile": ""}, "upstream""#,
                ".",
                "duplicate",
            ),
        ] {
            assert!(WEBHOOK.contains(from), "{from}");
            let error = error_of(&WEBHOOK.replace(from, to));
            assert_eq!(error.field, field);
            assert!(error.reason.contains(reason), "{field}: {}", error.reason);
        }
        let without =
            WEBHOOK.replace(r#""tls": {"certificateFile": "a.crt", "keyFile": "/keys/a.key"},"#, "");
        assert_eq!(error_of(&without).to_string(), ".: missing field `tls` at line 13, column 5");
    }

    #[test]
    fn an_error_tells_its_place_in_the_file_and_no_value() {
        let error = error_of(&WEBHOOK.replace("\"TOKEN\"", "[\"TOKEN\"]"));
        // a line before the first webhook, and six lines each
        assert_eq!(error.to_string(), "slots[0].secretToken: must be a string, at line 12, column 57");
        let same_line = format!("{{\"webhooks\": [{}]}}", r#"{"botId": "TOKEN"}"#);
        let error = parse_file(same_line.as_bytes()).unwrap().remove(0).content.unwrap_err();
        assert_eq!(error.to_string(), "botId: must be a whole number, at line 1, column 31");
    }

    #[test]
    fn a_file_of_another_outline_is_an_error() {
        for (file, field) in [
            ("", "."),
            ("[]", "."),
            ("{}", "."),
            ("{\"webhooks\": {}}", "webhooks"),
            ("{\"webhooks\": [], \"a\": 1}", "a"),
            ("{\"webhooks\": []} x", "."),
            ("{\"webhooks\": [{]}", "webhooks[0]"),
        ] {
            assert_eq!(parse_file(file.as_bytes()).unwrap_err().field, field, "{file}");
        }
    }
}
