//! The rule that all policies use to decide whether a value is an improvement.

use serde::{Deserialize, Serialize};

/// Whether smaller or larger values are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Smaller is better, as for a loss.
    #[default]
    Min,
    /// Larger is better, as for an accuracy.
    Max,
}

impl Direction {
    /// The worst possible value.
    #[must_use]
    pub fn worst(self) -> f64 {
        match self {
            Self::Min => f64::INFINITY,
            Self::Max => f64::NEG_INFINITY,
        }
    }

    /// Whether `value` is as good as `threshold`, or better.
    #[must_use]
    pub fn reaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Min => value <= threshold,
            Self::Max => value >= threshold,
        }
    }
}

/// The float type in which two values are compared.
///
/// Keras compares with a backend operation, and backends convert Python floats to their default
/// float type first. Another width would decide near ties differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Width {
    /// IEEE single precision, the default `floatx` of Keras.
    #[default]
    F32,
    /// IEEE double precision.
    F64,
}

/// The rule for an improvement: direction, minimum change, and precision of the comparison.
///
/// Invariants:
/// - NaN is never an improvement;
/// - the worst possible value, an infinity, is never an improvement;
/// - without a reference, or with NaN as reference, every other value is an improvement.
///
/// ```
/// use fitwatch_core::policies::{Direction, Improvement};
///
/// let accuracy = Improvement {
///     direction: Direction::Max,
///     signed_delta: 0.01,
///     ..Improvement::default()
/// };
/// assert!(accuracy.improves(0.92, Some(0.9)));
/// assert!(!accuracy.improves(0.905, Some(0.9)));
/// assert!(!accuracy.improves(f64::NAN, None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Improvement {
    /// Whether smaller or larger values are better.
    pub direction: Direction,
    /// The minimum change, subtracted from the value in float64, before rounding and comparing.
    /// Signed as in Keras: positive if larger is better, negative if smaller is better.
    pub signed_delta: f64,
    /// Whether the minimum change is a fraction of the reference's absolute value.
    pub relative: bool,
    /// The width that both sides are rounded to.
    pub width: Width,
    /// Whether the backend treats subnormal numbers as zero in comparisons.
    pub flush_subnormal: bool,
}

impl Improvement {
    /// Whether `value` is better than `reference` by more than the minimum change.
    #[must_use]
    #[allow(clippy::float_cmp)] // `worst` is an infinity, compared exactly on purpose
    pub fn improves(&self, value: f64, reference: Option<f64>) -> bool {
        let Some(reference) = reference.filter(|r| !r.is_nan()) else {
            return !value.is_nan() && value != self.direction.worst();
        };
        let value = self.rounded(value - self.delta(reference));
        let reference = self.rounded(reference);
        match self.direction {
            Direction::Min => value < reference,
            Direction::Max => value > reference,
        }
    }

    fn delta(&self, reference: f64) -> f64 {
        if self.relative && reference.is_finite() {
            self.signed_delta * reference.abs()
        } else if self.relative {
            0.0
        } else {
            self.signed_delta
        }
    }

    #[allow(clippy::cast_possible_truncation)] // rounding is the point
    fn rounded(&self, x: f64) -> f64 {
        let (rounded, smallest_normal) = match self.width {
            Width::F32 => (f64::from(x as f32), f64::from(f32::MIN_POSITIVE)),
            Width::F64 => (x, f64::MIN_POSITIVE),
        };
        if self.flush_subnormal && rounded.abs() < smallest_normal {
            0.0
        } else {
            rounded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn min(signed_delta: f64) -> Improvement {
        Improvement {
            signed_delta,
            ..Improvement::default()
        }
    }

    fn max(signed_delta: f64) -> Improvement {
        Improvement {
            direction: Direction::Max,
            signed_delta,
            ..Improvement::default()
        }
    }

    #[test]
    fn direction_and_strictness() {
        assert!(min(0.0).improves(0.9, Some(1.0)));
        assert!(!min(0.0).improves(1.0, Some(1.0)));
        assert!(max(0.0).improves(1.1, Some(1.0)));
        assert!(!max(0.0).improves(1.0, Some(1.0)));
    }

    #[test]
    fn the_change_must_exceed_min_delta() {
        assert!(!max(0.5).improves(0.5, Some(0.0)));
        assert!(max(0.5).improves(0.75, Some(0.0)));
        assert!(!min(-0.5).improves(0.5, Some(1.0)));
        assert!(min(-0.5).improves(0.25, Some(1.0)));
    }

    #[test]
    fn a_relative_change_is_a_fraction_of_the_reference() {
        let relative = |rule: Improvement| Improvement {
            relative: true,
            ..rule
        };
        let down = relative(min(-0.1));
        assert!(down.improves(8.9, Some(10.0)));
        assert!(!down.improves(9.1, Some(10.0)));
        assert!(down.improves(-11.1, Some(-10.0)));
        assert!(!down.improves(-10.9, Some(-10.0)));
        assert!(down.improves(-1e-9, Some(0.0)));
        assert!(down.improves(1.0, Some(f64::INFINITY)));
        assert!(!down.improves(1.0, Some(f64::NEG_INFINITY)));
        let up = relative(max(0.1));
        assert!(up.improves(11.1, Some(10.0)));
        assert!(!up.improves(-9.1, Some(-10.0)));
    }

    #[test]
    fn never_a_nan_and_never_the_wrong_infinity() {
        for rule in [min(0.0), max(0.0)] {
            let worst = rule.direction.worst();
            for reference in [None, Some(f64::NAN), Some(0.0), Some(worst), Some(-worst)] {
                assert!(
                    !rule.improves(f64::NAN, reference),
                    "{rule:?} {reference:?}"
                );
                assert!(!rule.improves(worst, reference), "{rule:?} {reference:?}");
            }
            assert!(rule.improves(-worst, None));
            assert!(rule.improves(0.0, Some(f64::NAN)));
            assert!(rule.improves(0.0, Some(worst)));
        }
    }

    #[test]
    fn near_ties_are_decided_in_the_width_of_the_backend() {
        let closer_than_f32 = 1.0 - 1e-12;
        assert!(!min(0.0).improves(closer_than_f32, Some(1.0)));
        let wide = Improvement {
            width: Width::F64,
            ..min(0.0)
        };
        assert!(wide.improves(closer_than_f32, Some(1.0)));
    }

    #[test]
    fn min_delta_is_subtracted_before_rounding() {
        // 1.44 - 0.71 is 0.73, but in float32 the difference is larger than 0.73.
        let difference_in_f32 = 1.44_f32 - 0.71_f32;
        assert!(difference_in_f32 > 0.73_f32);
        assert!(!max(0.71).improves(1.44, Some(0.73)));
    }

    #[test]
    fn subnormals_are_zero_only_where_the_backend_flushes_them() {
        assert!(min(0.0).improves(0.0, Some(1e-40)));
        let flushing = Improvement {
            flush_subnormal: true,
            ..min(0.0)
        };
        assert!(!flushing.improves(0.0, Some(1e-40)));
        assert!(flushing.improves(0.0, Some(1e-30)));
        let wide = Improvement {
            width: Width::F64,
            ..flushing
        };
        assert!(wide.improves(0.0, Some(1e-40)));
        assert!(!wide.improves(0.0, Some(1e-310)));
    }
}
