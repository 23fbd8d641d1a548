//! The policy that finds values that jump away from the recent ones.

use serde::{Deserialize, Serialize};

use super::{BatchPolicy, Decision, Moment, Value};

/// Finds values that are far worse than the recent ones, in constant time and memory.
///
/// Of the values so far it keeps an exponential mean `m` and variance `v`. For the value `x` of a
/// batch, after `n` batches,
///
/// ```text
/// d = x - m
/// spike: n >= warmup, v > 0 and d > threshold * sqrt(v)
/// a = max(1 / (n + 1), 1 / window)
/// c = d, limited to at most 5 * sqrt(v) on both sides (if v > 0)
/// m = m + a * c
/// v = v + a * (c * c - v)
/// ```
///
/// A value that is not finite, or beyond 1e100, is always a spike, and changes nothing. If larger
/// values are better, `-d` is compared.
///
/// Invariants:
/// - a value changes `m` by at most `5 * a * sqrt(v)`, and `v` by a factor of at most `1 + 24 * a`,
///   however large it is, so a few spikes do not hide the next ones;
/// - a level that lasts is accepted: the variance of values beyond the limit grows exponentially,
///   so that even a change by 1,000 standard deviations counts as spikes for fewer than `window`
///   batches;
/// - values that are all equal have no variance, and the one that ends them is no spike.
///
/// ```
/// use fitwatch_core::policies::Spikes;
///
/// let mut policy = Spikes { threshold: 20.0, window: 500, warmup: 3, ..Spikes::default() };
/// let losses = [1.0, 1.2, 0.9, 1.1, 9.0, 1.0, f64::NAN];
/// let found = losses.map(|loss| policy.update(loss, 1));
/// assert_eq!(found, [false, false, false, false, true, false, true]);
/// assert_eq!(policy.found.map(|last| last.value.is_nan()), Some(true));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spikes {
    /// Standard deviations above the mean, beyond which a value is a spike; more than 0.
    pub threshold: f64,
    /// Batches over which mean and variance are taken; 1 or more.
    pub window: i64,
    /// Batches before the first one that is judged.
    pub warmup: i64,
    /// Whether a spike is a value that is too small.
    pub larger_is_better: bool,
    /// Batches with finite values so far.
    pub seen: i64,
    /// The mean of the values.
    pub mean: f64,
    /// Their variance.
    pub variance: f64,
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
    /// A larger size counts as infinite, so that squares are finite.
    pub const LARGEST: f64 = 1e100;
    /// Standard deviations to which the change by one value is limited.
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
            (self.mean, self.variance) = (value, 0.0);
            return false;
        }
        let difference = value - self.mean;
        let deviation = self.variance.sqrt();
        let worse = if self.larger_is_better {
            -difference
        } else {
            difference
        };
        let is_spike =
            before >= self.warmup && deviation > 0.0 && worse > self.threshold * deviation;
        let share = (units as f64 / self.seen.min(self.window).max(1) as f64).min(1.0);
        let change = if deviation > 0.0 {
            let limit = Self::LIMIT * deviation;
            difference.min(limit).max(-limit)
        } else {
            difference
        };
        self.mean += share * change;
        self.variance += share * (change * change - self.variance);
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
            threshold: 20.0,
            window: 500,
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
        let (mean, deviation) = (policy.mean, policy.variance.sqrt());
        assert!((mean - 1.0).abs() < 0.01 && (deviation - 0.1 / 3f64.sqrt()).abs() < 0.01);
        assert!(!policy.update(mean + 19.9 * deviation, 1));
        let mut policy = trained(2000);
        let value = mean + 20.1 * deviation;
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
        for warmup in [0, 2, 100] {
            let mut policy = Spikes { warmup, ..policy() };
            for batch in 0..warmup {
                assert!(!policy.update(f64::from(u32::try_from(batch).unwrap()).exp(), 1));
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
        let before = (policy.seen, policy.mean, policy.variance);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e101] {
            assert!(policy.update(value, 1));
        }
        assert_eq!((policy.seen, policy.mean, policy.variance), before);
    }

    #[test]
    fn spikes_do_not_hide_the_next_ones() {
        for size in [1e3, 1e90] {
            let mut policy = trained(2000);
            let deviation = policy.variance.sqrt();
            for _ in 0..10 {
                assert!(policy.update(size, 1));
            }
            assert!(policy.variance.sqrt() < 1.3 * deviation);
            assert!((policy.mean - 1.0).abs() < 0.2 * deviation.max(0.1));
            assert!(!policy.update(1.0, 1));
        }
    }

    #[test]
    fn a_level_that_lasts_is_accepted_within_the_window() {
        for (deviations, most) in [(30.0, 60), (100.0, 150), (1000.0, 400)] {
            let mut policy = trained(2000);
            let level = 1.0 + deviations * policy.variance.sqrt();
            let spikes = (0..2000).filter(|_| policy.update(level, 1)).count();
            assert!((1..most).contains(&spikes), "{deviations}: {spikes}");
            assert!((policy.mean / level - 1.0).abs() < 0.1);
        }
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
        assert!(!policy.update(1.0, 100));
        assert!(!policy.update(2.0, 100));
        assert_eq!((policy.seen, policy.mean), (200, 1.5));
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
            values in proptest::collection::vec(-1e3..1e3, 2..200),
            last in -1e100..1e100,
        ) {
            let mut policy = policy();
            for value in values {
                policy.update(value, 1);
            }
            let (mean, variance) = (policy.mean, policy.variance);
            prop_assume!(variance > 0.0);
            policy.update(last, 1);
            #[allow(clippy::cast_precision_loss)]
            let share = 1.0 / policy.seen as f64;
            let rounding = 1.0 + 1e-9;
            prop_assert!((policy.mean - mean).abs() <= 5.0 * share * variance.sqrt() * rounding);
            prop_assert!(policy.variance <= variance * (1.0 + 24.0 * share) * rounding);
        }

        #[test]
        fn mean_and_variance_stay_finite(
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
                prop_assert!(policy.mean.is_finite() && policy.variance.is_finite());
                prop_assert!(policy.variance >= 0.0);
            }
        }
    }
}
