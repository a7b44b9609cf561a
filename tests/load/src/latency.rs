//! Percentiles.

use std::time::Duration;

/// Half of the values are at most the first, 99 of 100 at most the second, all at most the third; microseconds.
pub fn percentiles(mut values: Vec<Duration>) -> [u64; 3] {
    values.sort_unstable();
    [50, 99, 100].map(|percent| {
        let index = (values.len() * percent).div_ceil(100).saturating_sub(1);
        values.get(index).map_or(0, |value| u64::try_from(value.as_micros()).unwrap_or(u64::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_least_value_that_is_enough() {
        let values = |count| (1..=count).rev().map(Duration::from_micros).collect();
        assert_eq!(percentiles(values(100)), [50, 99, 100]);
        assert_eq!(percentiles(values(1)), [1, 1, 1]);
        assert_eq!(percentiles(values(0)), [0, 0, 0]);
    }
}
