//! The outermost object: `update_id` and one kind.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::{Kind, NamedKind, Update, facts, object::Text};

/// First words of our own errors.
pub(super) const NO_KIND: &str = "no kind";
pub(super) const SEVERAL_KINDS: &str = "several kinds";
pub(super) const OUT_OF_RANGE: &str = "out of range";

/// Telegram's ids of updates are of this type.
const MAX_UPDATE_ID: i64 = i32::MAX as i64;

impl<'de> Deserialize<'de> for Update<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Envelope)
    }
}

struct Envelope;

impl<'de> Visitor<'de> for Envelope {
    type Value = Update<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an update")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut update_id = None;
        let mut known = None;
        let mut unknown = None;
        while let Some(Text(key)) = map.next_key()? {
            if key == "update_id" {
                if update_id.replace(map.next_value::<i64>()?).is_some() {
                    return Err(A::Error::duplicate_field("update_id"));
                }
            } else if let Some(kind) = Kind::parse(&key) {
                if known.replace((kind, facts::read(kind, &mut map)?)).is_some() {
                    return Err(A::Error::custom(SEVERAL_KINDS));
                }
            } else {
                // a kind that we don't know, or something new beside one that we do
                map.next_value::<IgnoredAny>()?;
                unknown.get_or_insert(key);
            }
        }
        let update_id = update_id.ok_or_else(|| A::Error::missing_field("update_id"))?;
        if !(0..=MAX_UPDATE_ID).contains(&update_id) {
            return Err(A::Error::custom(OUT_OF_RANGE));
        }
        match (known, unknown) {
            (Some((kind, facts)), _) => Ok(Update { update_id, kind: NamedKind::Known(kind), facts }),
            (None, Some(name)) => {
                Ok(Update { update_id, kind: NamedKind::Unknown(name), facts: super::Facts::default() })
            }
            (None, None) => Err(A::Error::custom(NO_KIND)),
        }
    }
}
