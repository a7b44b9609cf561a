use proptest::prelude::*;

use super::*;
use crate::queue::Reason;

fn heads() -> impl Strategy<Value = Head> {
    let lane = (any::<u8>(), any::<i64>()).prop_map(|(family, id)| Lane { family, id });
    let optional = (any::<Option<i64>>(), any::<Option<u64>>(), any::<Option<u64>>());
    (lane, any::<u64>(), any::<[u8; 16]>(), optional).prop_map(
        |(lane, received_at, bytes, (update_id, expires_at, replayed))| Head {
            update_id,
            lane,
            received_at,
            expires_at,
            key: key(bytes),
            replayed,
        },
    )
}

fn reasons() -> impl Strategy<Value = Reason> {
    prop_oneof![
        any::<String>().prop_map(Reason::Malformed),
        any::<u16>().prop_map(Reason::Refused),
        any::<(u32, String)>().prop_map(|(attempts, last)| Reason::Exhausted { attempts, last }),
    ]
}

proptest! {
    #[test]
    fn an_update_is_read_as_it_was_written(head in heads(), body: Vec<u8>) {
        let record = [&head.encode()[..], &body].concat();
        prop_assert_eq!(Record::decode(&record), Ok(Record::Update(head, &body)));
    }

    #[test]
    fn a_dead_letter_is_read_as_it_was_written(
        head in heads(), reason in reasons(), at: u64, origin: Option<u64>, chat: Option<i64>, body: Vec<u8>,
    ) {
        let letter = Letter { at, reason, origin, chat, head, body: &body };
        let record = [&letter.encode_head()[..], &body].concat();
        prop_assert_eq!(Letter::decode(&record), Ok(letter));
    }

    #[test]
    fn what_is_known_is_read_as_it_was_written(at: u32, keys: Vec<[u8; 16]>, secret: [[u8; 8]; 4]) {
        let record = Record::encode_known(at, keys.iter().copied().map(key));
        prop_assert_eq!(Record::decode(&record), Ok(Record::Known(at, &keys)));
        let record = Record::encode_hash_key(HashKey::from_bytes(secret));
        prop_assert_eq!(Record::decode(&record), Ok(Record::HashKey(secret)));
    }

    #[test]
    fn any_bytes_are_a_record_or_none_and_nothing_worse(kind in 0..6_u8, bytes: Vec<u8>) {
        let record = [&[kind], &bytes[..]].concat();
        if let Ok(Record::Update(head, body)) = Record::decode(&record) {
            prop_assert_eq!([&head.encode()[..], body].concat(), record.clone());
        }
        if let Ok(letter) = Letter::decode(&record) {
            prop_assert!(letter.body.len() < record.len());
        }
    }
}

#[test]
fn an_update_is_written_as_specified() {
    let head = Head {
        update_id: Some(0x0102),
        lane: Lane { family: 3, id: -2 },
        received_at: 0x0304,
        expires_at: None,
        key: key([0xAB; 16]),
        replayed: Some(9),
    };
    let expected = "01\
        05\
        03\
        feffffffffffffff\
        0403000000000000\
        abababababababababababababababab\
        0201000000000000\
        0900000000000000";
    assert_eq!(hex::encode(head.encode()), expected);
}

#[test]
fn a_record_that_is_cut_off_is_not_read() {
    let head = Head::of(
        &Update {
            update_id: Some(1),
            lane: Lane { family: 0, id: 7 },
            received_at: from_millis(5),
            expires_at: Some(from_millis(6)),
            body: Bytes::new(),
        },
        key([1; 16]),
        Some(1),
    );
    let letter = Letter {
        at: 1,
        reason: Reason::Malformed("x".to_owned()),
        origin: Some(1),
        chat: Some(1),
        head,
        body: b"",
    };
    let (update, letter) = (head.encode(), letter.encode_head());
    for length in 0..update.len() {
        assert_eq!(Record::decode(&update[..length]), Err(Unreadable), "{length}");
    }
    for length in 0..letter.len() {
        assert_eq!(Letter::decode(&letter[..length]), Err(Unreadable), "{length}");
    }
}
