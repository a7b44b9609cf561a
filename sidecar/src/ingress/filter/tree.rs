//! The update as a value of CEL, within bounds. Strings are borrowed from its text.

use std::{borrow::Cow, collections::HashMap, fmt};

use cel::common::{
    types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt},
    value::Val,
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

const MAX_NODES: usize = 10_000;
const MAX_DEPTH: usize = 64;

pub(super) struct Tree<'t> {
    pub(super) root: Box<dyn Val + 't>,
    /// Values and keys in it.
    pub(super) nodes: usize,
    /// Entries of the longest list or object.
    pub(super) longest: usize,
}

/// Why there is no tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TreeError {
    /// More nodes or levels than we take.
    TooLarge,
    /// A key is there twice, or a string is none: what an expression would see there needn't be what the CRM sees.
    Ambiguous,
}

/// First word of our error.
const TOO_LARGE: &str = "too large";

// === impl Tree ===

impl<'t> Tree<'t> {
    pub(super) fn read(text: &'t str) -> Result<Self, TreeError> {
        let mut size = Size { nodes: 0, longest: 0 };
        let mut json = serde_json::Deserializer::from_str(text);
        let root = Node { size: &mut size, depth: 0 }.deserialize(&mut json).map_err(|error| {
            if error.to_string().starts_with(TOO_LARGE) { TreeError::TooLarge } else { TreeError::Ambiguous }
        })?;
        let Size { nodes, longest } = size;
        Ok(Self { root, nodes, longest })
    }
}

/// What was read so far.
struct Size {
    nodes: usize,
    longest: usize,
}

/// Reads one value.
struct Node<'s> {
    size: &'s mut Size,
    depth: usize,
}

// === impl Node ===

impl Node<'_> {
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.size.nodes += 1;
        if self.size.nodes > MAX_NODES || self.depth > MAX_DEPTH { Err(E::custom(TOO_LARGE)) } else { Ok(()) }
    }

    fn child(&mut self) -> Node<'_> {
        Node { size: &mut *self.size, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Box<dyn Val + 'de>;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Box<dyn Val + 'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Box::new(CelInt::from(value)))
    }

    /// An int where it fits, which is what literals are: CEL has no sum of an int and a uint.
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Box::new(CelString::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Box::new(CelString::from(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.child())? {
            list.push(item);
        }
        self.size.longest = self.size.longest.max(list.len());
        Ok(Box::new(CelList::from(list)))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = HashMap::new();
        while let Some(Key(key)) = entries.next_key()? {
            self.count()?;
            let key = match key {
                Cow::Borrowed(key) => CelMapKey::from(key),
                Cow::Owned(key) => CelMapKey::from(key),
            };
            if map.insert(key, entries.next_value_seed(self.child())?).is_some() {
                return Err(A::Error::custom("duplicate field"));
            }
        }
        self.size.longest = self.size.longest.max(map.len());
        Ok(Box::new(CelMap::from(map)))
    }
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
