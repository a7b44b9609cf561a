//! Updates and what is said of them, as properties of a message.

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};

use crate::queue::{DeadLetterId, Lane, Reason, Update, from_millis, millis};

/// How RabbitMQ is told to write a message to its disk.
const PERSISTENT: u8 = 2;

/// The headers of a message.
#[derive(Debug, Clone, Default)]
pub struct Headers(FieldTable);

// === impl Headers ===

impl Headers {
    /// What is said of an update, besides its bytes.
    pub fn of_update(update: &Update) -> Self {
        let Update { update_id, lane: Lane { family, id }, received_at, expires_at, body: _ } = update;
        let mut headers = Self::default();
        headers.text("lane", &format!("{family}:{id}"));
        headers.time("received-at", millis(*received_at));
        if let Some(update_id) = update_id {
            headers.0.insert("update-id".into(), AMQPValue::LongLongInt(*update_id));
        }
        if let Some(expires_at) = expires_at {
            headers.time("expires-at", millis(*expires_at));
        }
        headers
    }

    pub fn of_reason(mut self, reason: &Reason) -> Self {
        match reason {
            Reason::Malformed(text) => self.text("malformed", text),
            Reason::Refused(status) => self.time("refused", (*status).into()),
            Reason::Exhausted { attempts, last } => {
                self.time("attempts", (*attempts).into());
                self.text("last-failure", last);
            }
        }
        self
    }

    /// Those of a message that came.
    pub fn of(properties: &BasicProperties) -> Self {
        Self(properties.headers().clone().unwrap_or_default())
    }

    pub fn text(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), AMQPValue::LongString(value.into()));
    }

    pub fn time(&mut self, name: &str, value: u64) {
        // until the year 292 million
        self.0.insert(name.into(), AMQPValue::LongLongInt(value.try_into().unwrap_or(i64::MAX)));
    }

    pub fn into_properties(self, message_id: ShortString) -> BasicProperties {
        BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(message_id)
            .with_headers(self.0)
    }

    pub fn as_text(&self, name: &str) -> Option<String> {
        let bytes = match self.0.inner().get(name)? {
            AMQPValue::LongString(text) => text.as_bytes(),
            AMQPValue::ShortString(text) => text.as_str().as_bytes(),
            _ => return None,
        };
        String::from_utf8(bytes.to_vec()).ok()
    }

    /// A number, in whichever of the protocol's types it came: a stream stores what is small in a smaller one.
    pub fn as_number(&self, name: &str) -> Option<i64> {
        match self.0.inner().get(name)? {
            AMQPValue::ShortShortInt(number) => Some((*number).into()),
            AMQPValue::ShortShortUInt(number) => Some((*number).into()),
            AMQPValue::ShortInt(number) => Some((*number).into()),
            AMQPValue::ShortUInt(number) => Some((*number).into()),
            AMQPValue::LongInt(number) => Some((*number).into()),
            AMQPValue::LongUInt(number) => Some((*number).into()),
            AMQPValue::LongLongInt(number) => Some(*number),
            AMQPValue::Timestamp(number) => (*number).try_into().ok(),
            _ => None,
        }
    }

    pub fn as_count(&self, name: &str) -> Option<u64> {
        self.as_number(name)?.try_into().ok()
    }

    pub fn as_dead_letter_id(&self, name: &str) -> Option<DeadLetterId> {
        self.as_text(name)?.parse().ok()
    }

    /// The update with that body, where the headers are those of one.
    pub fn to_update(&self, body: Bytes) -> Option<Update> {
        let lane = self.as_text("lane")?;
        let (family, id) = lane.split_once(':')?;
        Some(Update {
            update_id: self.as_number("update-id"),
            lane: Lane { family: family.parse().ok()?, id: id.parse().ok()? },
            received_at: from_millis(self.as_count("received-at")?),
            expires_at: self.as_count("expires-at").map(from_millis),
            body,
        })
    }

    pub fn to_reason(&self) -> Option<Reason> {
        if let Some(text) = self.as_text("malformed") {
            return Some(Reason::Malformed(text));
        }
        if let Some(status) = self.as_count("refused") {
            return status.try_into().ok().map(Reason::Refused);
        }
        let attempts = self.as_count("attempts")?.try_into().ok()?;
        Some(Reason::Exhausted { attempts, last: self.as_text("last-failure")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_an_update_is_read_again() {
        let body = Bytes::from_static(b"{}");
        let plain = Update {
            update_id: Some(5),
            lane: Lane { family: 3, id: i64::MIN },
            received_at: from_millis(1_700_000_000_001),
            expires_at: Some(from_millis(1_700_000_030_001)),
            body: body.clone(),
        };
        let nameless = Update { update_id: None, expires_at: None, ..plain.clone() };
        for update in [plain, nameless] {
            let properties = Headers::of_update(&update).into_properties("1-5".into());
            assert_eq!(Headers::of(&properties).to_update(body.clone()), Some(update));
        }
        assert_eq!(Headers::default().to_update(body), None);
    }

    #[test]
    fn a_reason_is_read_again() {
        let exhausted = Reason::Exhausted { attempts: 12, last: "timed out".to_owned() };
        for reason in [Reason::Malformed("is not JSON".to_owned()), Reason::Refused(422), exhausted] {
            assert_eq!(Headers::default().of_reason(&reason).to_reason(), Some(reason));
        }
        assert_eq!(Headers::default().to_reason(), None);
    }
}
