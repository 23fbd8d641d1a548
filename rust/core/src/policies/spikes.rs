//! The policy that finds values that jump away from the recent ones.

use serde::{Deserialize, Serialize};

use super::{BatchPolicy, Decision, Moment, Value};

/// Finds values that are far worse than the recent ones, in constant time and memory.
///
/// Of the values so far it keeps an exponential mean `m`, over a tenth of the window, and the mean
/// `s` of how far values were away from it. For the value `x` of a batch, after `n` batches,
///
/// ```text
/// d = x - m
/// spike: n >= warmup, s > 0 and d > threshold * s
/// c = d, limited to at most 5 * s on both sides (if s > 0)
/// m = m + c * max(1 / (n + 1), 10 / window)
/// s = s + (|c| - s) * max(1 / n, 1 / window)
/// ```
///
/// A value that is not finite, or beyond 1e100, is always a spike, and changes nothing. If larger
/// values are better, `-d` is compared. The mean has the shorter window so that it follows a loss
/// that falls; `benches/test_spikes.py` compares with other rules.
///
/// Invariants:
/// - however large a value is, after `window` batches it raises `s` by a factor of at most
///   `1 + 4 / window`, and moves `m` by at most `50 * s / window`: spikes hardly hide the next ones;
/// - a level that lasts is accepted: `s` grows exponentially, so that even a change by a thousand
///   times `s` counts as spikes for fewer than `window` batches;
/// - values that are all equal have no deviation, and the one that ends them is no spike.
///
/// ```
/// use fitwatch_core::policies::Spikes;
///
/// let mut policy = Spikes { threshold: 25.0, window: 100, warmup: 3, ..Spikes::default() };
/// let losses = [1.0, 1.2, 0.9, 1.1, 9.0, 1.0, f64::NAN];
/// let found = losses.map(|loss| policy.update(loss, 1));
/// assert_eq!(found, [false, false, false, false, true, false, true]);
/// assert_eq!(policy.found.map(|last| last.value.is_nan()), Some(true));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spikes {
    /// Deviations from the mean, beyond which a value is a spike; more than 0.
    pub threshold: f64,
    /// Batches over which the deviation is taken, and the mean over a tenth; 1 or more.
    pub window: i64,
    /// Batches before the first one that is judged.
    pub warmup: i64,
    /// Whether a spike is a value that is too small.
    pub larger_is_better: bool,
    /// Batches with finite values so far.
    pub seen: i64,
    /// The mean of the values.
    pub mean: f64,
    /// The mean of their distances from it.
    pub deviation: f64,
    /// The last spike.
    pub found: Option<Spike>,
}

/// A spike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spike {
    /// The value.
    pub value: f64,
    /// The mean before it, `None` if there were no values.
    pub expected: Option<f64>,
}

impl BatchPolicy for Spikes {
    fn take(&mut self, _at: Moment, values: &[Option<Value>]) -> Decision {
        match values.first() {
            Some(Some(value)) if self.update(value.value, value.units) => Decision::Spike,
            _ => Decision::Ignore,
        }
    }
}

impl Spikes {
    /// A larger size counts as infinite, so that all sums are finite.
    pub const LARGEST: f64 = 1e100;
    /// Deviations to which the change by one value is limited.
    pub const LIMIT: f64 = 5.0;

    /// Takes a value that covers `units` batches. Returns whether it is a spike, which is then in
    /// [`found`](Self::found).
    #[allow(clippy::cast_precision_loss)]
    pub fn update(&mut self, value: f64, units: i64) -> bool {
        let expected = (self.seen > 0).then_some(self.mean);
        // A NaN compares as false.
        let finite = value.abs() <= Self::LARGEST;
        if !finite {
            self.found = Some(Spike { value, expected });
            return true;
        }
        let units = units.max(1);
        let before = self.seen;
        self.seen = before.saturating_add(units);
        if before <= 0 {
            (self.mean, self.deviation) = (value, 0.0);
            return false;
        }
        let (difference, deviation) = (value - self.mean, self.deviation);
        let worse = if self.larger_is_better {
            -difference
        } else {
            difference
        };
        let is_spike =
            before >= self.warmup && deviation > 0.0 && worse > self.threshold * deviation;
        let share = |seen: i64, window: i64| {
            let of = seen.min(window).max(1);
            (units as f64 / of as f64).min(1.0)
        };
        let change = if deviation > 0.0 {
            let limit = Self::LIMIT * deviation;
            difference.min(limit).max(-limit)
        } else {
            difference
        };
        self.mean += change * share(self.seen, self.window / 10);
        self.deviation += (change.abs() - deviation) * share(before, self.window);
        if is_spike {
            self.found = Some(Spike { value, expected });
        }
        is_spike
    }

    /// Forgets all values.
    pub fn reset(&mut self) {
        *self = Self {
            threshold: self.threshold,
            window: self.window,
            warmup: self.warmup,
            larger_is_better: self.larger_is_better,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> Spikes {
        Spikes {
            threshold: 25.0,
            window: 100,
            warmup: 100,
            ..Spikes::default()
        }
    }

    /// A deterministic noise of values between -1 and 1.
    fn noise(batch: u32) -> f64 {
        let mixed = batch.wrapping_mul(0x9e37_79b9) ^ 0x2545_f491;
        f64::from(mixed.wrapping_mul(0x85eb_ca6b) >> 8) / f64::from(1 << 23) - 1.0
    }

    fn trained(batches: u32) -> Spikes {
        let mut policy = policy();
        for batch in 0..batches {
            assert!(!policy.update(1.0 + 0.1 * noise(batch), 1));
        }
        policy
    }

    #[test]
    fn a_spike_is_found_with_what_was_expected() {
        let mut policy = trained(2000);
        let (mean, deviation) = (policy.mean, policy.deviation);
        assert!((mean - 1.0).abs() < 0.05 && (deviation - 0.05).abs() < 0.01);
        assert!(!policy.update(mean + 24.9 * deviation, 1));
        let mut policy = trained(2000);
        let value = mean + 25.1 * deviation;
        assert!(policy.update(value, 1));
        let expected = Some(mean);
        assert_eq!(policy.found, Some(Spike { value, expected }));
    }

    #[test]
    fn a_low_value_is_a_spike_where_larger_is_better() {
        let mut policy = trained(2000);
        assert!(!policy.update(-9.0, 1));
        policy.larger_is_better = true;
        assert!(policy.update(-9.0, 1));
        assert!(!policy.update(9.0, 1));
    }

    #[test]
    fn the_first_batches_are_not_judged() {
        for warmup in [0, 2, 30] {
            let mut policy = Spikes { warmup, ..policy() };
            for batch in 0..warmup {
                let value = f64::from(u32::try_from(batch).unwrap()).exp();
                assert!(!policy.update(value, 1));
            }
        }
        let mut policy = trained(99);
        assert!(!policy.update(1e9, 1));
        assert!(policy.update(1e9, 1));
    }

    #[test]
    fn what_is_not_finite_is_a_spike_at_once_and_changes_nothing() {
        let mut policy = policy();
        assert!(policy.update(f64::NAN, 1));
        assert_eq!(policy.found.unwrap().expected, None);
        let mut policy = trained(2000);
        let before = (policy.seen, policy.mean, policy.deviation);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e101] {
            assert!(policy.update(value, 1));
        }
        assert_eq!((policy.seen, policy.mean, policy.deviation), before);
    }

    #[test]
    fn spikes_do_not_hide_the_next_ones() {
        for size in [1e3, 1e90] {
            let mut policy = trained(2000);
            let before = policy;
            for _ in 0..10 {
                assert!(policy.update(size, 1));
            }
            assert!(policy.deviation < 1.5 * before.deviation);
            assert!(policy.mean - before.mean < 7.0 * before.deviation);
            assert!(!policy.update(1.0, 1));
        }
    }

    #[test]
    fn a_level_that_lasts_is_accepted_within_the_window() {
        for (deviations, most) in [(30.0, 10), (100.0, 40), (1000.0, 100)] {
            let mut policy = trained(2000);
            let level = 1.0 + deviations * policy.deviation;
            let spikes = (0..1000).filter(|_| policy.update(level, 1)).count();
            assert!((1..most).contains(&spikes), "{deviations}: {spikes}");
            assert!((policy.mean / level - 1.0).abs() < 0.1);
        }
    }

    #[test]
    fn a_spike_is_seen_while_the_loss_falls() {
        let mut policy = policy();
        for batch in 0..300 {
            let level = 2.3 * (-f64::from(batch) / 200.0).exp();
            assert!(!policy.update(level * (1.0 + 0.1 * noise(batch)), 1));
        }
        assert!(policy.update(2.3, 1));
    }

    #[test]
    fn equal_values_are_no_reference() {
        let mut policy = policy();
        for _ in 0..1000 {
            assert!(!policy.update(0.5, 1));
        }
        assert!(!policy.update(0.7, 1));
        assert!(policy.update(10.0, 1));
    }

    #[test]
    fn a_value_for_several_batches_counts_as_much() {
        let mut policy = policy();
        assert!(!policy.update(1.0, 5));
        assert!(!policy.update(2.0, 5));
        assert_eq!((policy.seen, policy.mean, policy.deviation), (10, 1.5, 1.0));
    }

    #[test]
    fn it_starts_over() {
        let mut used = trained(300);
        used.update(f64::NAN, 1);
        used.reset();
        assert_eq!(used, policy());
    }

    proptest! {
        #[test]
        fn one_value_changes_little(
            values in proptest::collection::vec(-1e3..1e3, 101..200),
            last in -1e100..1e100,
        ) {
            let mut policy = policy();
            for value in values {
                policy.update(value, 1);
            }
            let before = policy;
            policy.update(last, 1);
            let rounding = 1.0 + 1e-9;
            let moved = (policy.mean - before.mean).abs();
            prop_assert!(moved <= 0.5 * before.deviation * rounding);
            prop_assert!(policy.deviation <= 1.04 * before.deviation * rounding);
        }

        #[test]
        fn mean_and_deviation_stay_finite(
            values in proptest::collection::vec(
                prop_oneof![
                    any::<f64>(), -1.0..1.0, Just(0.0), Just(1e100), Just(-1e100), Just(f64::NAN)
                ],
                0..300,
            ),
            window in 1..1000_i64,
        ) {
            let mut policy = Spikes { window, ..policy() };
            for value in values {
                let spike = policy.update(value, 1);
                prop_assert!(spike || value.abs() <= Spikes::LARGEST);
                prop_assert!(policy.mean.is_finite() && policy.deviation.is_finite());
                prop_assert!(policy.deviation >= 0.0);
            }
        }
    }
}
