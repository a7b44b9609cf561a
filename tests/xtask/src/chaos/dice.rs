//! Chance that can be had again: the same seed, the same throws. What happens in between is up to the machine.

use std::time::Duration;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

// === impl Dice ===

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Others, that depend on these and on nothing else.
    pub fn fork(&mut self) -> Self {
        Self(self.throw())
    }

    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`, or 0 where that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.throw().checked_rem(end).unwrap_or_default()
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// From `least` on, less than `most`.
    pub fn duration(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.below(span))
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len() as u64);
        from.get(usize::try_from(index).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_all() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            let mut fork = dice.fork();
            [dice.below(100), dice.below(100), fork.below(100), fork.below(100)]
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
    }

    #[test]
    fn throws_keep_their_bounds_and_use_them() {
        let mut dice = Dice::new(1);
        let (least, most) = (Duration::from_millis(2), Duration::from_millis(4));
        assert!((0..1000).all(|_| (least..most).contains(&dice.duration(least, most))));
        let faces: std::collections::BTreeSet<_> = (0..1000).map(|_| dice.below(6)).collect();
        assert_eq!(faces.len(), 6);
        assert_eq!((dice.below(0), dice.pick::<u8>(&[])), (0, None));
    }
}
