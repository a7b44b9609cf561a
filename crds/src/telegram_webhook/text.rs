//! Texts of one spelling: lengths of time, sizes and networks.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A length of time: a whole number and one of `s`, `m` and `h`, such as `90s`, `10m` and `720h`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct Period(pub String);

/// A size on disk: a whole number and one of `Mi` and `Gi`, such as `512Mi`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(transparent)]
pub struct Size(pub String);

/// A network in CIDR notation as Kubernetes writes it, such as `10.0.0.0/8` and `2001:db8::/32`: no bits beyond the prefix, lower
/// case, no zeros in front, and not the whole internet.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
pub struct Network(pub String);

// === impl Period ===

impl Period {
    /// Its length; `None` if it isn't written as it must be.
    pub fn seconds(&self) -> Option<u64> {
        let unit = match self.0.as_bytes().last()? {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            _ => return None,
        };
        let number = self.0.trim_end_matches(['s', 'm', 'h']);
        let plain = !number.starts_with('0')
            && number.len() + 1 == self.0.len()
            && (1..=5).contains(&number.len())
            && number.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| number.parse::<u64>().ok()?.checked_mul(unit)).flatten()
    }
}

impl From<&str> for Period {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 6, "pattern": "^[1-9][0-9]{0,4}[smh]$"})
    }
}

// === impl Size ===

impl Size {
    /// In bytes; `None` if it isn't written as it must be.
    pub fn bytes(&self) -> Option<u64> {
        let (number, shift) = match (self.0.strip_suffix("Mi"), self.0.strip_suffix("Gi")) {
            (Some(number), _) => (number, 20),
            (_, Some(number)) => (number, 30),
            (None, None) => return None,
        };
        let plain = !number.starts_with('0')
            && (1..=5).contains(&number.len())
            && number.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| number.parse::<u64>().ok()?.checked_shl(shift)).flatten()
    }
}

impl From<&str> for Size {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 7, "pattern": "^[1-9][0-9]{0,4}[MG]i$"})
    }
}

// === impl Network ===

impl JsonSchema for Network {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 43,
            "x-kubernetes-validations": [{
                "rule": "isCIDR(self) && string(cidr(self).masked()) == self && cidr(self).prefixLength() > 0",
                "message": "must be a network in CIDR notation, such as 10.0.0.0/8 or 2001:db8::/32: no bits beyond the prefix, lower case, no zeros in front, and not /0, which is everybody",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_and_a_unit() {
        let cases = [("1s", 1), ("90s", 90), ("10m", 600), ("720h", 2_592_000), ("99999h", 359_996_400)];
        for (text, seconds) in cases {
            assert_eq!(Period::from(text).seconds(), Some(seconds), "{text}");
        }
        for text in [
            "", "s", "0s", "01s", "1", "1d", "1h30m", "1ss", "1.5h", "-1s", "+1s", "100000s", " 1s", "1s ",
            "é",
        ] {
            assert_eq!(Period::from(text).seconds(), None, "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in [("64Mi", 67_108_864), ("1Gi", 1 << 30), ("99999Gi", 99_999 << 30)] {
            assert_eq!(Size::from(text).bytes(), Some(bytes), "{text}");
        }
        for text in
            ["", "Mi", "0Mi", "064Mi", "64", "64M", "64MiB", "1.5Gi", "-1Gi", "+1Gi", "100000Mi", "1 Gi"]
        {
            assert_eq!(Size::from(text).bytes(), None, "{text}");
        }
    }
}
