//! The power is cut at any operation, again and again, and what is there afterwards is compared with what was promised.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::FutureExt as _;

use super::super::{
    LogError, Options, Receipt, Sequence,
    files::simulated::{Random, Simulated},
    state::{Haste, Shared},
    writer::Writer,
};

fn options(seed: u64) -> Options {
    Options { segment_bytes: 4096, max_bytes: (4 + seed % 5) * 4096 }
}

/// A log whose writer moves when told to, so that a seed repeats everything.
struct Run {
    folder: Simulated,
    writer: Writer<Simulated>,
    shared: Arc<Shared<Simulated>>,
    random: Random,
    /// What the log must have, and what it may have.
    live: BTreeMap<u64, Vec<u8>>,
    maybe: BTreeMap<u64, Vec<u8>>,
    under_way: Vec<(Under, Receipt)>,
    /// The greatest sequence ever.
    last: u64,
    refused: usize,
    options: Options,
}

enum Under {
    Append(Vec<u8>),
    Replace(u64, Vec<u8>),
    Remove,
}

impl Run {
    fn new(seed: u64) -> Self {
        let folder = Simulated::new();
        let options = options(seed);
        let writer = Writer::open(folder.clone(), options, |_, _| panic!("nothing is there")).unwrap();
        Self {
            folder,
            shared: writer.shared(),
            writer,
            random: Random(seed),
            live: BTreeMap::new(),
            maybe: BTreeMap::new(),
            under_way: Vec::new(),
            last: 0,
            refused: 0,
            options,
        }
    }

    fn step(&mut self) {
        let live: Vec<u64> = self.live.keys().copied().collect();
        let pick = (!live.is_empty()).then(|| live[self.random.below(live.len().min(20))]);
        match (self.random.below(10), pick) {
            (0..=3, _) => {
                let body = self.body();
                let receipt = self.shared.append(Bytes::new(), Bytes::from(body.clone()), None, Haste::Now);
                self.hand_over(Under::Append(body), receipt);
            }
            (4..=6, Some(old)) => {
                if self.shared.remove(Sequence(old)).is_ok() {
                    self.forget(old);
                }
            }
            (7, Some(old)) => {
                if let Ok(receipt) = self.shared.removed_durably(Sequence(old)) {
                    self.forget(old);
                    self.under_way.push((Under::Remove, receipt));
                }
            }
            (8, Some(old)) => {
                let body = self.body();
                let receipt = self.shared.append(
                    Bytes::from_static(b"x"),
                    Bytes::from(body.clone()),
                    Some(Sequence(old)),
                    Haste::Now,
                );
                if receipt.is_ok() {
                    self.forget(old);
                }
                self.hand_over(Under::Replace(old, [b"x", &body[..]].concat()), receipt);
            }
            _ => {
                if self.writer.turn(true).is_err() {
                    self.shared.fail("as the thread would say");
                }
                self.settle();
            }
        }
    }

    fn body(&mut self) -> Vec<u8> {
        let length = if self.random.below(20) == 0 { 3000 } else { self.random.below(400) };
        let byte = u8::try_from(self.random.below(256)).unwrap();
        vec![byte; length]
    }

    fn hand_over(&mut self, what: Under, receipt: Result<Receipt, LogError>) {
        if let Ok(receipt) = receipt {
            assert!(receipt.sequence().number() > self.last, "a sequence was used again");
            self.last = receipt.sequence().number();
            let (Under::Append(body) | Under::Replace(_, body)) = &what else { panic!("not stored") };
            self.maybe.insert(self.last, body.clone());
            self.under_way.push((what, receipt));
        }
    }

    /// It was told to be removed: until that is durable it may be there.
    fn forget(&mut self, old: u64) {
        let body = self.live.remove(&old).unwrap();
        self.maybe.insert(old, body);
    }

    /// Believes what the log promises.
    fn settle(&mut self) {
        let mut waiting = Vec::new();
        for (what, mut receipt) in std::mem::take(&mut self.under_way) {
            let sequence = receipt.sequence().number();
            match ((&mut receipt).now_or_never(), what) {
                (None, what) => waiting.push((what, receipt)),
                (Some(Ok(())), Under::Append(body)) => {
                    self.maybe.remove(&sequence);
                    self.live.insert(sequence, body);
                }
                (Some(Ok(())), Under::Replace(old, body)) => {
                    self.maybe.remove(&old);
                    self.maybe.remove(&sequence);
                    self.live.insert(sequence, body);
                }
                (Some(Ok(())), Under::Remove) => {
                    self.maybe.remove(&sequence);
                }
                (Some(Err(LogError::Full)), Under::Append(_)) => {
                    self.refused += 1;
                    self.maybe.remove(&sequence);
                }
                (Some(Err(LogError::Full)), Under::Replace(old, _)) => {
                    self.maybe.remove(&sequence);
                    let body = self.maybe.remove(&old).unwrap();
                    self.live.insert(old, body);
                }
                (Some(Err(error)), _) => {
                    assert!(matches!(error, LogError::Full | LogError::Broken(_)), "{error}");
                }
            }
        }
        self.under_way = waiting;
        for (sequence, body) in self.live.iter().take(3) {
            let read = match self.shared.find(Sequence(*sequence)) {
                Err(LogError::Broken(_)) => continue,
                found => found.unwrap(),
            };
            assert_eq!(read.read(), body.as_slice());
        }
    }

    /// The process is killed, or the machine.
    fn restart(mut self) -> Self {
        self.settle();
        let folder = if self.random.below(4) == 0 {
            self.folder.healed()
        } else {
            self.folder.after_power_cut(&mut self.random)
        };
        let mut shown = BTreeMap::new();
        // sometimes the disk is smaller than what we may take
        let room = self.folder.contents().len() as u64 * 4096 + 2 * 4096;
        folder.limit((self.random.below(3) == 0).then_some(room));
        let writer = Writer::open(folder.clone(), self.options, |sequence, bytes| {
            let number = sequence.number();
            assert!(shown.last_key_value().is_none_or(|(last, _)| *last < number), "out of order");
            shown.insert(number, bytes.to_vec());
        });
        let writer = writer.unwrap();
        for (sequence, body) in &self.live {
            assert_eq!(shown.get(sequence), Some(body), "record {sequence} was durable");
        }
        for (sequence, body) in &shown {
            let expected = self.live.get(sequence).or_else(|| self.maybe.get(sequence));
            assert_eq!(expected, Some(body), "record {sequence} was removed durably");
        }
        for (what, receipt) in &self.under_way {
            if let Under::Replace(old, _) = what {
                let number = receipt.sequence().number();
                let both = shown.contains_key(old) && shown.contains_key(&number);
                assert!(!both, "{number} is there, and {old} that it replaces");
            }
        }
        // nobody has heard of what was lost
        self.last = writer.shared().next() - 1;
        assert!(shown.last_key_value().is_none_or(|(last, _)| *last <= self.last));
        Self {
            folder,
            shared: writer.shared(),
            writer,
            live: shown,
            maybe: BTreeMap::new(),
            under_way: Vec::new(),
            ..self
        }
    }
}

/// Crashes, and records that were refused.
fn run(seed: u64) -> usize {
    let mut run = Run::new(seed);
    for _ in 0..6 {
        let steps = 20 + run.random.below(200);
        let crash_at = run.random.below(120) as u64;
        if run.random.below(4) != 0 {
            run.folder.fail_after(crash_at);
        }
        for _ in 0..steps {
            run.step();
        }
        run = run.restart();
    }
    for sequence in std::mem::take(&mut run.live).into_keys() {
        run.shared.remove(Sequence(sequence)).unwrap();
        run.writer.turn(true).unwrap();
    }
    for _ in 0..3 {
        run.writer.turn(true).unwrap();
    }
    let usage = run.shared.usage();
    assert!(usage.live_records == 0 && usage.disk_bytes <= 3 * 4096, "{usage:?}");
    run.refused
}

#[test]
fn what_was_promised_is_kept_whenever_the_power_is_cut() {
    let refused: usize = (0..1500)
        .map(|seed| std::panic::catch_unwind(|| run(seed)).unwrap_or_else(|_| panic!("seed {seed}")))
        .sum();
    assert!(refused > 0, "the log was never full");
}
