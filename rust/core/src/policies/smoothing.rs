//! Exponential smoothing, so that noise does not count as an improvement.

use serde::{Deserialize, Serialize};

/// The bias-corrected exponential mean of a series, as pandas' `ewm(halflife=...).mean()`.
///
/// The weight of a value halves after `halflife` units. Weights are divided by their sum, so the
/// first means are not biased towards zero. A value that is not finite is skipped, but its units
/// still pass.
///
/// ```
/// use fitwatch_core::policies::Smoothing;
///
/// let mut mean = Smoothing::new(1.0);
/// assert_eq!(mean.update(1.0, 1), 1.0);
/// assert_eq!(mean.update(4.0, 1), 3.0); // (1.0 / 2 + 4.0) / 1.5
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Smoothing {
    /// Units after which the weight of a value halves; more than 0.
    pub halflife: f64,
    /// The weighted mean so far.
    pub mean: f64,
    /// The sum of the weights, where the last value has weight 1; 0 before the first value.
    pub weight: f64,
}

impl Smoothing {
    /// A mean without values.
    #[must_use]
    pub fn new(halflife: f64) -> Self {
        Self {
            halflife,
            mean: 0.0,
            weight: 0.0,
        }
    }

    /// Takes a value that covers `units` units. Returns the mean, NaN before any finite value.
    #[allow(clippy::cast_precision_loss)]
    pub fn update(&mut self, value: f64, units: i64) -> f64 {
        self.weight *= (-(units as f64) / self.halflife).exp2();
        if value.is_finite() {
            self.weight += 1.0;
            // In terms of the difference, so that a constant series has exactly that mean.
            self.mean += (value - self.mean) / self.weight;
        }
        if self.weight > 0.0 {
            self.mean
        } else {
            f64::NAN
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The mean by its definition, from all values and weights.
    fn reference(values: &[f64], halflife: f64) -> f64 {
        let weight = |age: usize| 0.5_f64.powf(f64::from(u32::try_from(age).unwrap()) / halflife);
        let known = values
            .iter()
            .rev()
            .enumerate()
            .filter(|(_, value)| value.is_finite());
        let (sum, weights) = known.fold((0.0, 0.0), |(sum, weights), (age, value)| {
            (sum + weight(age) * value, weights + weight(age))
        });
        sum / weights
    }

    #[test]
    fn the_first_mean_is_the_first_value() {
        assert!((Smoothing::new(100.0).update(3.0, 1) - 3.0).abs() < 1e-12);
    }

    #[test]
    fn one_value_for_several_units_counts_once_and_forgets_as_long() {
        let mut mean = Smoothing::new(2.0);
        mean.update(1.0, 4);
        let expected = (1.0 * 0.25 + 3.0) / 1.25;
        assert!((mean.update(3.0, 4) - expected).abs() < 1e-12);
    }

    #[test]
    fn what_is_not_finite_leaves_the_mean_alone() {
        let mut mean = Smoothing::new(5.0);
        assert!(mean.update(f64::NAN, 1).is_nan());
        mean.update(2.0, 1);
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!((mean.update(odd, 1) - 2.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_stays_the_same_has_the_same_mean() {
        let mut mean = Smoothing::new(3.0);
        for _ in 0..1000 {
            assert_eq!(mean.update(0.1, 1).to_bits(), 0.1_f64.to_bits());
        }
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            values in proptest::collection::vec(prop_oneof![9 => -1e3..1e3, 1 => Just(f64::NAN)], 1..60),
            halflife in 0.1..50.0,
        ) {
            let mut mean = Smoothing::new(halflife);
            for (at, &value) in values.iter().enumerate() {
                let smoothed = mean.update(value, 1);
                let expected = reference(&values[..=at], halflife);
                prop_assert!(
                    (smoothed - expected).abs() < 1e-9 * expected.abs().max(1.0)
                        || smoothed.is_nan() && expected.is_nan()
                );
            }
        }
    }
}
