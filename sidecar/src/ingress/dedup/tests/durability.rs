use std::fs;

use super::*;

const SLOT: usize = 32;
const HEAD: usize = 2 * SLOT;

fn log_of(memory: &Memory) -> PathBuf {
    memory.dir.path().join("dedup.log")
}

/// A memory of the updates 0, 1, 2, ... accepted at 0.
fn with_updates(count: u32) -> Memory {
    let memory = Memory::new(MAX_KNOWN);
    for id in 0..count {
        assert!(memory.deliver(BOT, &update(id), 0));
    }
    memory
}

/// Which of the first updates are remembered.
fn remembered(memory: &Memory, count: u32) -> Vec<u32> {
    let accepted = |id: &u32| matches!(memory.attempt(BOT, &update(*id)), Err(Reject::Duplicate));
    (0..count).filter(accepted).collect()
}

#[test]
fn the_file_is_as_specified() {
    let memory = Memory::new(10);
    let hash_key: Vec<u8> = (0..32).collect();
    let mut file = [b"telegram-webhook-dedup 2\n\0\0\0".to_vec(), hash_key].concat();
    // the crc32 of zlib
    file.extend(hex::decode("1bf452c3").unwrap());
    fs::write(log_of(&memory), &file).unwrap();
    let memory = memory.restart(10, 0);
    memory.deliver(0x0102_0304, "{}", 0x0A0B_0C0D);
    // HighwayHash128 of Google's C source for "\4\3\2\1\0\0\0\0{}", and the crc32 of zlib
    file.extend(hex::decode("04030201000000000d0c0b0ae860753a9a365e72f11633098a1d2cf02ac0f28e").unwrap());
    assert_eq!(hex::encode(fs::read(log_of(&memory)).unwrap()), hex::encode(file));
}

#[test]
fn each_file_has_a_hash_key_of_its_own() {
    let keys = [(); 2].map(|()| fs::read(log_of(&Memory::new(10))).unwrap()[28..60].to_vec());
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn what_was_accepted_survives_a_restart_until_it_is_too_old() {
    let memory = with_updates(3).restart(MAX_KNOWN, RETENTION.as_secs() - 1);
    assert_eq!(remembered(&memory, 4), [0, 1, 2]);
    let memory = memory.restart(MAX_KNOWN, RETENTION.as_secs());
    assert_eq!(remembered(&memory, 4), Vec::<u32>::new());
}

#[test]
fn wherever_the_last_write_was_cut_off_all_before_it_is_there_and_more_can_follow() {
    let whole = fs::read(log_of(&with_updates(3))).unwrap();
    for length in 0..whole.len() {
        let memory = with_updates(3);
        fs::write(log_of(&memory), &whole[..length]).unwrap();
        let memory = memory.restart(MAX_KNOWN, 0);
        let there = u32::try_from(length.saturating_sub(HEAD) / SLOT).unwrap();
        assert_eq!(remembered(&memory, 4), (0..there).collect::<Vec<_>>(), "{length}");
        assert_eq!(fs::metadata(log_of(&memory)).unwrap().len() % 32, 0, "{length}");
        assert!(memory.deliver(BOT, &update(3), 0));
        let memory = memory.restart(MAX_KNOWN, 0);
        assert_eq!(remembered(&memory, 4), (0..there).chain([3]).collect::<Vec<_>>(), "{length}");
    }
}

#[test]
fn a_damaged_record_takes_no_other_with_it() {
    for byte in HEAD + SLOT..HEAD + 2 * SLOT {
        let memory = with_updates(3);
        let mut log = fs::read(log_of(&memory)).unwrap();
        log[byte] ^= 0x40;
        fs::write(log_of(&memory), log).unwrap();
        assert_eq!(remembered(&memory.restart(MAX_KNOWN, 0), 3), [0, 2], "{byte}");
    }
}

#[test]
fn a_file_of_another_format_is_set_aside() {
    for file in
        ["telegram-webhook-dedup 1\n\0\0\0\0\0\0\0", "telegram-webhook-dedup 3\n and what is new in it"]
    {
        let memory = with_updates(3);
        fs::write(log_of(&memory), file).unwrap();
        let memory = memory.restart(MAX_KNOWN, 0);
        assert_eq!(remembered(&memory, 3), Vec::<u32>::new());
        let kept = fs::read_to_string(memory.dir.path().join("dedup.log.unreadable")).unwrap();
        assert_eq!(kept, file);
        assert!(memory.deliver(BOT, &update(9), 0));
        assert_eq!(remembered(&memory.restart(MAX_KNOWN, 0), 10), [9]);
    }
}

#[test]
fn a_file_whose_head_is_damaged_is_set_aside() {
    for byte in 0..HEAD {
        let memory = with_updates(3);
        let mut log = fs::read(log_of(&memory)).unwrap();
        log[byte] ^= 0x40;
        fs::write(log_of(&memory), &log).unwrap();
        let memory = memory.restart(MAX_KNOWN, 0);
        assert_eq!(remembered(&memory, 3), Vec::<u32>::new(), "{byte}");
        assert_eq!(fs::read(memory.dir.path().join("dedup.log.unreadable")).unwrap(), log, "{byte}");
    }
}

#[test]
fn the_file_stays_in_proportion_to_what_is_remembered() {
    let memory = Memory::new(100);
    for id in 0..5000 {
        assert!(memory.deliver(BOT, &update(id), 0));
        let slots = fs::metadata(log_of(&memory)).unwrap().len() / 32;
        assert!(slots <= 2 * 100 + 258, "{slots} after {id}");
    }
    let memory = memory.restart(100, 0);
    assert_eq!(remembered(&memory, 5000), (4900..5000).collect::<Vec<_>>());
}

#[test]
fn a_new_file_that_was_not_finished_is_no_obstacle() {
    let memory = Memory::new(10);
    let longer = fs::read(log_of(&with_updates(100))).unwrap();
    fs::write(memory.dir.path().join("dedup.log.new"), longer).unwrap();
    for id in 1000..1290 {
        memory.deliver(BOT, &update(id), 0);
    }
    assert!(fs::metadata(log_of(&memory)).unwrap().len() < 290 * 32, "no new file yet");
    // with room for all that is in the file
    let memory = memory.restart(MAX_KNOWN, 0);
    assert_eq!(remembered(&memory, 1000), Vec::<u32>::new());
    assert!(remembered(&memory, 1290).ends_with(&[1287, 1288, 1289]));
}

#[test]
fn one_folder_is_for_one_sidecar() {
    let memory = Memory::new(10);
    let second = Dedup::open(memory.dir.path(), Metrics::new(), at(0)).err().unwrap().to_string();
    assert!(second.contains("--state-dir") && second.contains("another sidecar"), "{second}");
    memory.restart(10, 0);
}

#[test]
fn a_folder_that_is_not_there_is_made_and_one_that_can_not_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("a/b");
    Dedup::open(&missing, Metrics::new(), at(0)).unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = Dedup::open(&dir.path().join("file"), Metrics::new(), at(0)).err().unwrap().to_string();
    assert!(error.contains("--state-dir") && error.contains("/file"), "{error}");
}

#[test]
fn what_can_not_be_written_is_counted_and_remembered_all_the_same() {
    let memory = Memory::new(10);
    // a file that can't be written to stands for a disk that is full
    memory.dedup.shared.lock().log.file = fs::File::open(log_of(&memory)).unwrap();
    assert!(memory.deliver(BOT, &update(1), 0));
    assert!(!memory.deliver(BOT, &update(1), 0));
    let metrics = memory.dedup.shared.metrics.encode().unwrap();
    assert!(metrics.contains("dedup_write_errors_total 1\n"), "{metrics}");
}

#[test]
fn an_update_that_was_forgotten_and_accepted_again_survives_another_restart() {
    let expired = RETENTION.as_secs();
    let memory = with_updates(1).restart(MAX_KNOWN, expired);
    assert!(memory.deliver(BOT, &update(0), expired));
    assert_eq!(remembered(&memory.restart(MAX_KNOWN, expired), 1), [0]);
}
