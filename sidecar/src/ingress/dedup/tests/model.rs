//! Whatever happens in whatever order, the memory answers as a list would that is searched from end to end.

use super::*;

const MAX_LIVE: usize = 20;
const STEPS: u32 = 20_000;

/// All that was accepted, the oldest first.
#[derive(Default)]
struct Model {
    accepted: Vec<(u64, i64, String)>,
}

/// splitmix64: the same steps in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

impl Model {
    fn contains(&self, bot: i64, body: &str) -> bool {
        self.accepted.iter().any(|(_, other, known)| *other == bot && known == body)
    }

    fn accept(&mut self, bot: i64, body: &str, now: u64) {
        self.accepted.push((now, bot, body.to_owned()));
        self.accepted.retain(|(at, other, _)| *other != bot || at + RETENTION.as_secs() > now);
        let of_bot = self.accepted.iter().filter(|(_, other, _)| *other == bot).count();
        let mut surplus = of_bot.saturating_sub(MAX_LIVE);
        self.accepted.retain(|(_, other, _)| {
            let forgotten = *other == bot && surplus > 0;
            surplus -= usize::from(forgotten);
            !forgotten
        });
    }

    fn restart(&mut self, now: u64) {
        self.accepted.retain(|(at, ..)| at + RETENTION.as_secs() > now);
    }
}

#[test]
fn the_memory_answers_as_its_model_does_over_restarts_and_torn_writes() {
    let mut random = Random(4);
    let mut memory = Memory::new(MAX_LIVE);
    let mut model = Model::default();
    let mut now = 1_800_000_000;
    let (mut accepted, mut duplicates) = (0, 0);
    for step in 0..STEPS {
        match random.below(100) {
            0 => {
                memory = memory.restart(MAX_LIVE, now);
                model.restart(now);
            }
            1 => {
                // killed in the middle of a write
                let path = memory.dir.path().join("dedup.log");
                let mut log = std::fs::read(&path).unwrap();
                log.extend(vec![b'x'; usize::try_from(random.below(32)).unwrap()]);
                std::fs::write(&path, log).unwrap();
                memory = memory.restart(MAX_LIVE, now);
                model.restart(now);
            }
            2 => now += random.below(3 * RETENTION.as_secs() / 2),
            _ => {
                now += random.below(60);
                let bot = BOT + i64::from(u8::try_from(random.below(2)).unwrap());
                let body = update(u32::try_from(random.below(40)).unwrap());
                let expected = !model.contains(bot, &body);
                assert_eq!(memory.deliver(bot, &body, now), expected, "step {step}: {bot} {body}");
                if expected {
                    model.accept(bot, &body, now);
                    accepted += 1;
                } else {
                    duplicates += 1;
                }
            }
        }
    }
    assert!(accepted > 1000 && duplicates > 1000, "{accepted} accepted, {duplicates} duplicates");
}
