//! One metric of early stopping.

use serde::{Deserialize, Serialize};

use super::{Best, Direction, Patience, Smoothing};

/// A metric, its best value and how long it has not improved.
///
/// Invariant: the wait restarts only when a value improves on both the best value and the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The best value and the rule for an improvement.
    pub best: Best,
    /// Units without improvement, and how many are allowed.
    pub patience: Patience,
    /// A value that must also be improved on before the wait restarts.
    pub baseline: Option<f64>,
    /// The smoothing of the values, if any.
    pub smoothing: Option<Smoothing>,
    /// A worst acceptable value: a worse one means that the metric has diverged.
    pub divergence_threshold: Option<f64>,
    /// Whether patience was exhausted at the last value.
    pub stalled: bool,
    /// The last value that passed the threshold; NaN if it was not finite.
    pub diverged_at: Option<f64>,
}

/// The result of observing a value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// The value is the new best.
    pub improved: bool,
    /// The value is worse than the threshold, or there is a threshold and the value is not finite.
    pub diverged: bool,
    /// The (smoothed) value; `None` during a warm-up, and if the value is not finite.
    pub judged: Option<f64>,
}

/// A value, and how many units it covers: a metric that is read once in eight batches has one value
/// for eight units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The value at the end of the units.
    pub value: f64,
    /// How many units the value covers; at least 1.
    pub units: i64,
}

impl Metric {
    /// Takes a value. During a warm-up (`counts` is false) it is only smoothed.
    pub fn observe(&mut self, Value { value, units }: Value, counts: bool) -> Seen {
        let smoothed = match &mut self.smoothing {
            Some(smoothing) => smoothing.update(value, units),
            None => value,
        };
        if !counts {
            return Seen::default();
        }
        let diverged = self.diverged(value, smoothed);
        if diverged {
            self.diverged_at = Some(if value.is_finite() {
                smoothed
            } else {
                f64::NAN
            });
        }
        self.patience.wait(units);
        let improved = self.best.offer(smoothed);
        if improved && self.beats_baseline(smoothed) {
            self.patience.reset();
        }
        self.stalled = !improved && self.patience.exhausted();
        Seen {
            improved,
            diverged,
            judged: value.is_finite().then_some(smoothed),
        }
    }

    /// Whether the metric had stalled, and its current patience is exhausted too.
    #[must_use]
    pub fn still_stalled(&self) -> bool {
        self.stalled && self.patience.exhausted()
    }

    /// Whether the metric had diverged, and has by its current threshold too.
    #[must_use]
    pub fn still_diverged(&self) -> bool {
        self.diverged_at
            .is_some_and(|value| self.diverged(value, value))
    }

    fn beats_baseline(&self, value: f64) -> bool {
        let rule = self.best.rule;
        self.baseline
            .is_none_or(|baseline| rule.improves(value, Some(baseline)))
    }

    /// With smoothing, a single value beyond the threshold is noise, but one that is not finite
    /// always counts.
    fn diverged(&self, value: f64, smoothed: f64) -> bool {
        self.divergence_threshold.is_some_and(|threshold| {
            !value.is_finite()
                || match self.best.rule.direction {
                    Direction::Min => smoothed > threshold,
                    Direction::Max => smoothed < threshold,
                }
        })
    }
}
