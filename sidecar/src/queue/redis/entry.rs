//! An update as the fields of a stream's entry. These are also what a CRM reads that takes updates out itself.

use std::{fmt, str::FromStr};

use bytes::Bytes;

use crate::queue::{DeadLetter, DeadLetterId, Lane, QueueError, Reason, Update, from_millis, millis};

/// Fields of an entry, one after another: name, value, ...
pub(super) type Fields = Vec<Vec<u8>>;

/// What a dead letter has and an update hasn't.
pub(super) const ADDED: [&str; 4] = ["set_aside_at", "reason", "reason_number", "reason_text"];

/// The place of an entry in its stream; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct EntryId {
    millis: u64,
    sequence: u64,
}

/// The fields of an update.
pub(super) fn of_update(update: &Update) -> Fields {
    let Update { update_id, lane, received_at, expires_at, body } = update;
    let mut fields = Fields::with_capacity(10);
    let mut add = |name: &str, value: &[u8]| fields.extend([name.as_bytes().to_vec(), value.to_vec()]);
    if let Some(update_id) = update_id {
        add("update_id", update_id.to_string().as_bytes());
    }
    add("lane", format!("{}:{}", lane.family, lane.id).as_bytes());
    add("received_at", millis(*received_at).to_string().as_bytes());
    if let Some(expires_at) = expires_at {
        add("expires_at", millis(*expires_at).to_string().as_bytes());
    }
    add("body", body);
    fields
}

/// The fields that are added to an update that is set aside.
pub(super) fn of_reason(reason: &Reason, at: u64) -> Fields {
    let (kind, number, text) = match reason {
        Reason::Malformed(text) => ("malformed", 0, text.as_str()),
        Reason::Refused(status) => ("refused", u32::from(*status), ""),
        Reason::Exhausted { attempts, last } => ("exhausted", *attempts, last.as_str()),
    };
    let values = [at.to_string(), kind.to_owned(), number.to_string(), text.to_owned()];
    let named = ADDED.into_iter().zip(values);
    named.flat_map(|(name, value)| [name.as_bytes().to_vec(), value.into_bytes()]).collect()
}

/// The update that fields are of.
pub(super) fn update(fields: Fields) -> Result<Update, QueueError> {
    parse_update(fields).ok_or_else(|| broken("an update"))
}

/// The dead letter that an entry is.
pub(super) fn dead_letter(id: &str, fields: Fields) -> Result<DeadLetter, QueueError> {
    parse_dead_letter(id, fields).ok_or_else(|| broken("a dead letter"))
}

/// The lane, as its field says it.
pub(super) fn lane(text: &str) -> Option<Lane> {
    let (family, id) = text.split_once(':')?;
    Some(Lane { family: family.parse().ok()?, id: id.parse().ok()? })
}

fn broken(what: &str) -> QueueError {
    QueueError::Broken(format!("{what} isn't as a sidecar writes it: who else writes to these keys?"))
}

fn parse_update(fields: Fields) -> Option<Update> {
    let (mut update_id, mut of_lane, mut received_at, mut expires_at, mut body) =
        (None, None, None, None, None);
    for (name, value) in pairs(fields) {
        match name.as_slice() {
            b"update_id" => update_id = Some(number(&value)?),
            b"lane" => of_lane = Some(lane(str::from_utf8(&value).ok()?)?),
            b"received_at" => received_at = Some(from_millis(number(&value)?)),
            b"expires_at" => expires_at = Some(from_millis(number(&value)?)),
            b"body" => body = Some(Bytes::from(value)),
            _ => {}
        }
    }
    Some(Update { update_id, lane: of_lane?, received_at: received_at?, expires_at, body: body? })
}

fn parse_dead_letter(id: &str, fields: Fields) -> Option<DeadLetter> {
    let EntryId { millis: major, sequence: minor } = id.parse().ok()?;
    let (mut at, mut kind, mut count, mut text) = (None, None, None, None);
    let mut rest = Fields::with_capacity(fields.len());
    for (name, value) in pairs(fields) {
        match name.as_slice() {
            b"set_aside_at" => at = Some(from_millis(number(&value)?)),
            b"reason" => kind = Some(value),
            b"reason_number" => count = Some(number(&value)?),
            b"reason_text" => text = String::from_utf8(value).ok(),
            _ => rest.extend([name, value]),
        }
    }
    let reason = match kind?.as_slice() {
        b"malformed" => Reason::Malformed(text?),
        b"refused" => Reason::Refused(u16::try_from(count?).ok()?),
        b"exhausted" => Reason::Exhausted { attempts: count?, last: text? },
        _ => return None,
    };
    Some(DeadLetter { id: DeadLetterId { major, minor }, reason, at: at?, update: parse_update(rest)? })
}

fn pairs(fields: Fields) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let mut fields = fields.into_iter();
    std::iter::from_fn(move || Some((fields.next()?, fields.next()?)))
}

fn number<T: FromStr>(value: &[u8]) -> Option<T> {
    str::from_utf8(value).ok()?.parse().ok()
}

// === impl EntryId ===

impl FromStr for EntryId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (millis, sequence) = text.split_once('-').ok_or(())?;
        Ok(Self { millis: millis.parse().map_err(|_| ())?, sequence: sequence.parse().map_err(|_| ())? })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(update_id: Option<i64>, expires_at: Option<u64>) -> Update {
        Update {
            update_id,
            lane: Lane { family: 3, id: -5 },
            received_at: from_millis(1_700_000_000_123),
            expires_at: expires_at.map(from_millis),
            body: Bytes::from_static(b"{\"text\":\"\xff\"}"),
        }
    }

    #[test]
    fn an_update_comes_out_as_it_went_in() {
        for example in [example(Some(-1), Some(5)), example(None, None)] {
            assert_eq!(update(of_update(&example)).unwrap(), example);
        }
    }

    #[test]
    fn a_dead_letter_comes_out_as_it_went_in() {
        for reason in [
            Reason::Malformed("no JSON".to_owned()),
            Reason::Refused(422),
            Reason::Exhausted { attempts: 12, last: "503".to_owned() },
        ] {
            let mut fields = of_update(&example(Some(1), None));
            fields.extend(of_reason(&reason, 7));
            let letter = dead_letter("8-9", fields).unwrap();
            let id = DeadLetterId { major: 8, minor: 9 };
            let expected = DeadLetter { id, reason, at: from_millis(7), update: example(Some(1), None) };
            assert_eq!(letter, expected);
        }
    }

    #[test]
    fn what_somebody_else_wrote_is_no_update() {
        assert!(matches!(update(Fields::new()), Err(QueueError::Broken(_))));
        let mut fields = of_update(&example(Some(1), None));
        fields[1] = b"one".to_vec();
        assert!(matches!(update(fields), Err(QueueError::Broken(_))));
    }
}
