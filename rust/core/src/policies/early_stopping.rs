//! The policy that stops training when metrics have stopped improving.

use serde::{Deserialize, Serialize};

use super::{BatchPolicy, Decision, Goal, Metric, Value};

/// The policy of `keras.callbacks.EarlyStopping`, for one metric or several, in epochs or batches.
///
/// Invariants:
/// - values before `start` change only the smoothed means;
/// - exhausted patience never stops training in the first unit, nor, with a single metric, in a
///   unit that improved;
/// - a metric that is missing in a unit keeps its state.
///
/// ```
/// use fitwatch_core::policies::{Decision, EarlyStopping, Moment, Value};
///
/// let mut policy = EarlyStopping::default();
/// policy.first.patience.limit = 2;
/// let decisions = [0.9, 0.7, 0.8, 0.8].into_iter().zip(0..).map(|(value, epoch)| {
///     policy.update(Moment { epoch, batch: None }, &[Some(Value { value, units: 1 })])
/// });
/// let decisions: Vec<_> = decisions.collect();
/// assert_eq!(decisions[1..], [Decision::Improved, Decision::Wait, Decision::Stop]);
/// assert_eq!((policy.first.best.value, policy.stopped_epoch), (Some(0.7), 3));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// The metric that "best" refers to.
    pub first: Metric,
    /// The other metrics.
    pub others: Vec<Metric>,
    /// Whether all metrics must stall to stop training, or any.
    pub combine: Combine,
    /// The first unit that counts.
    pub start: i64,
    /// The epoch of the best value.
    pub best_epoch: i64,
    /// The batch of the best value, if the units are batches.
    pub best_batch: Option<i64>,
    /// The epoch at which training was stopped; 0 if it was not.
    pub stopped_epoch: i64,
    /// The batch at which training was stopped, if the units are batches; `None` if it was not.
    pub stopped_batch: Option<i64>,
    /// The index of the first metric that diverged.
    pub diverged: Option<usize>,
    /// Whether training was stopped after a batch; later rows that are still queued do not count.
    pub ended: bool,
    /// Values that are good enough to stop, in the order of the metrics; none for the metrics that
    /// are not in the list. The last field: states of version 2 end before it.
    pub goals: Vec<Goal>,
}

/// How several metrics are combined to one decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Combine {
    /// Stop when all have stopped improving, or all with a stopping threshold have reached it.
    #[default]
    All,
    /// Stop when one has.
    Any,
}

/// The time of a value, in epochs and batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The epoch, from 0.
    pub epoch: i64,
    /// The batch, counted from 0 across epochs, if the units are batches.
    pub batch: Option<i64>,
}

impl BatchPolicy for EarlyStopping {
    fn take(&mut self, at: Moment, values: &[Option<Value>]) -> Decision {
        self.update(at, values)
    }
}

impl EarlyStopping {
    /// Takes the values of one epoch or batch, in the order of the metrics.
    pub fn update(&mut self, at: Moment, values: &[Option<Value>]) -> Decision {
        self.update_unit(at.batch.unwrap_or(at.epoch), at, values)
    }

    /// Takes the values of the unit with this number (from 0), such as a validation after a batch.
    pub fn update_unit(&mut self, unit: i64, at: Moment, values: &[Option<Value>]) -> Decision {
        if self.ended {
            return Decision::Ignore;
        }
        let counts = unit >= self.start;
        let mut improved = false;
        let mut seen_any = false;
        let metrics = std::iter::once(&mut self.first).chain(&mut self.others);
        for (number, (metric, value)) in metrics.zip(values).enumerate() {
            let Some(value) = value else { continue };
            let seen = metric.observe(*value, counts);
            seen_any = true;
            if let (true, Some(goal)) = (counts, self.goals.get_mut(number)) {
                goal.observe(seen.judged, metric.best.rule.direction);
            }
            improved |= number == 0 && seen.improved;
            if seen.diverged && self.diverged.is_none() {
                self.diverged = Some(number);
            }
        }
        if !counts || !seen_any {
            return Decision::Ignore;
        }
        if improved {
            self.best_epoch = at.epoch;
            self.best_batch = at.batch;
        }
        let stop = self.diverged.is_some()
            || self.is_good_enough()
            || (unit > 0 && self.all_or_any_stalled());
        if stop {
            self.stop(at);
        }
        match (stop, improved) {
            (true, true) => Decision::StopOnBest,
            (true, false) => Decision::Stop,
            (false, true) => Decision::Improved,
            (false, false) => Decision::Wait,
        }
    }

    /// Records that training was stopped, for any reason.
    pub fn stop(&mut self, at: Moment) {
        self.stopped_epoch = at.epoch;
        self.stopped_batch = at.batch;
        self.ended = at.batch.is_some();
    }

    /// The indices of the metrics that have stopped improving.
    pub fn stalled(&self) -> impl Iterator<Item = usize> {
        self.metrics()
            .enumerate()
            .filter_map(|(number, metric)| metric.stalled.then_some(number))
    }

    /// The indices of the metrics that have diverged by their current thresholds.
    pub fn diverged(&self) -> impl Iterator<Item = usize> {
        self.metrics()
            .enumerate()
            .filter_map(|(number, metric)| metric.still_diverged().then_some(number))
    }

    /// The indices of the metrics that have reached their current stopping thresholds; none while
    /// these do not suffice to stop.
    pub fn reached(&self) -> impl Iterator<Item = usize> {
        let suffices = self.is_good_enough();
        self.goals()
            .filter_map(move |(number, reached)| (suffices && reached).then_some(number))
    }

    /// The metrics, in order.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The metrics, in order, for modification.
    pub fn metrics_mut(&mut self) -> impl Iterator<Item = &mut Metric> {
        std::iter::once(&mut self.first).chain(&mut self.others)
    }

    /// Whether a stopped training would also stop by the current rules: patience, thresholds and
    /// start may have changed since.
    #[must_use]
    pub fn still_stops(&self) -> bool {
        let unit = self.stopped_batch.unwrap_or(self.stopped_epoch);
        unit >= self.start
            && (self.diverged().next().is_some()
                || self.is_good_enough()
                || self.all_or_any(Metric::still_stalled))
    }

    /// Whether the last values of all metrics with a stopping threshold, or of any, have reached it.
    fn is_good_enough(&self) -> bool {
        let mut goals = self.goals().map(|(_, reached)| reached).peekable();
        match self.combine {
            Combine::All => goals.peek().is_some() && goals.all(|reached| reached),
            Combine::Any => goals.any(|reached| reached),
        }
    }

    /// The indices of the metrics with a stopping threshold, and whether they have reached it.
    fn goals(&self) -> impl Iterator<Item = (usize, bool)> {
        let each = self.metrics().zip(&self.goals).enumerate();
        each.filter(|(_, (_, goal))| goal.threshold.is_some())
            .map(|(number, (metric, goal))| (number, goal.is_reached(metric.best.rule.direction)))
    }

    fn all_or_any_stalled(&self) -> bool {
        self.all_or_any(|metric| metric.stalled)
    }

    fn all_or_any(&self, holds: impl Fn(&Metric) -> bool) -> bool {
        let mut metrics = self.metrics();
        match self.combine {
            Combine::All => metrics.all(holds),
            Combine::Any => metrics.any(holds),
        }
    }
}

#[cfg(test)]
mod tests;
