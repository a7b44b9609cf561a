//! Damaged files: a crash is told from corruption.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::{OpenError, Options, Sequence, files::simulated::Simulated, state::Haste, writer::Writer};

const OPTIONS: Options = Options { segment_bytes: 4096, max_bytes: 10 * 4096 };

type Folder = BTreeMap<String, Vec<u8>>;

fn shown(folder: &Folder) -> Result<Vec<(u64, Vec<u8>)>, OpenError> {
    let mut shown = Vec::new();
    let visit = |sequence: Sequence, bytes: &[u8]| shown.push((sequence.number(), bytes.to_vec()));
    Writer::open(Simulated::of(folder.clone()), OPTIONS, visit)?;
    Ok(shown)
}

/// So many batches of one record each; after each the folder as it is.
fn batches(count: usize) -> Vec<Folder> {
    let folder = Simulated::new();
    let mut writer = Writer::open(folder.clone(), OPTIONS, |_, _| {}).unwrap();
    let mut stages = vec![folder.contents()];
    for number in 0..count {
        let body = Bytes::from(vec![u8::try_from(number).unwrap(); 30 + number]);
        drop(writer.shared().append(Bytes::new(), body, None, Haste::Now).unwrap());
        // the first time there may be no room
        writer.turn(true).unwrap();
        writer.turn(true).unwrap();
        stages.push(folder.contents());
    }
    stages
}

fn first_segment(folder: &Folder) -> (&String, &Vec<u8>) {
    folder.first_key_value().unwrap()
}

#[test]
fn a_log_cut_at_any_byte_of_its_last_batches_has_the_whole_ones() {
    let stages = batches(5);
    let (name, last) = first_segment(stages.last().unwrap());
    let end = last.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut seen = 0;
    for cut in 512..=end {
        let mut folder = stages.last().unwrap().clone();
        folder.get_mut(name).unwrap()[cut..].fill(0);
        let records = shown(&folder).unwrap().len();
        let whole = stages.iter().rposition(|stage| {
            let bytes = &stage[name];
            let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            end <= cut || end <= 512
        });
        assert_eq!(records, whole.unwrap(), "cut at {cut}");
        seen = seen.max(records);
    }
    assert_eq!(seen, 5);
}

#[test]
fn no_flipped_bit_loses_a_record_in_silence() {
    let folder = Simulated::new();
    let mut writer = Writer::open(folder.clone(), OPTIONS, |_, _| {}).unwrap();
    for number in 0..40_u8 {
        drop(
            writer
                .shared()
                .append(Bytes::from(vec![number; 7]), Bytes::from(vec![number; 200]), None, Haste::Now)
                .unwrap(),
        );
        writer.turn(true).unwrap();
    }
    writer.shared().close();
    while writer.turn(false).unwrap() {}
    let folder = folder.contents();
    let whole = shown(&folder).unwrap();
    assert!(whole.len() == 40 && folder.len() > 3);
    let mut corrupt = 0;
    for (name, bytes) in &folder {
        for position in 0..bytes.len() {
            let mut damaged = folder.clone();
            damaged.get_mut(name).unwrap()[position] ^= 1 << (position % 8);
            match shown(&damaged) {
                Ok(records) => assert_eq!(records, whole, "byte {position} of {name}"),
                Err(OpenError::Corrupt { .. }) => corrupt += 1,
                Err(error) => panic!("byte {position} of {name}: {error}"),
            }
        }
    }
    assert!(corrupt > 9000, "{corrupt}");
}

#[test]
fn a_missing_segment_is_noticed() {
    let stages = batches(60);
    let folder = stages.last().unwrap();
    assert!(folder.len() > 3);
    for name in folder.keys().take(folder.len() - 1) {
        let mut damaged = folder.clone();
        damaged.remove(name);
        let opened = shown(&damaged).map(|records| records.len());
        assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "without {name}: {opened:?}");
    }
}
