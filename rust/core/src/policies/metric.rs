//! One of the metrics that early stopping watches.

use serde::{Deserialize, Serialize};

use super::{Best, Direction, Patience, Smoothing};

/// A metric, and how long it has not improved.
///
/// Invariant: the wait starts over only when a value beats both the best and the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The best value and what counts as better.
    pub best: Best,
    /// Units without improvement, and how many are allowed.
    pub patience: Patience,
    /// A value that an improvement must also beat before the wait starts over.
    pub baseline: Option<f64>,
    /// What the values are smoothed by, if they are.
    pub smoothing: Option<Smoothing>,
    /// A value that must not be passed on the way to the worse.
    pub divergence_threshold: Option<f64>,
    /// Whether it had not improved for too long when it was last seen.
    pub stalled: bool,
    /// The value that passed the threshold last; NaN for one that was not finite.
    pub diverged_at: Option<f64>,
}

/// What a value of a metric shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It is the new best.
    pub improved: bool,
    /// It is worse than the threshold, or no finite number where there is a threshold.
    pub diverged: bool,
}

/// A value, and how many units it stands for: a metric that is seen once in eight batches has a
/// value for eight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The value at the end of the units.
    pub value: f64,
    /// At least one.
    pub units: i64,
}

impl Metric {
    /// Takes a value; one of a warm-up is smoothed, and does not count.
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
        Seen { improved, diverged }
    }

    /// Whether it had stalled, and its patience as it is now has run out too.
    #[must_use]
    pub fn still_stalled(&self) -> bool {
        self.stalled && self.patience.exhausted()
    }

    /// Whether it had diverged, and has so by its threshold as it is now.
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

    /// Where there is smoothing, one value beyond the threshold is noise; one that is not finite is
    /// never.
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
