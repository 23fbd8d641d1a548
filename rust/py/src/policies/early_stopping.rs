//! The policy of `EarlyStopping`.

use fitwatch_core::policies as core;
use pyo3::prelude::*;

use super::best::best_methods;
use super::copying::copying_methods;
use super::decision::Decision;
use super::limit::Limit;

/// Decides to stop training when a metric has stopped improving.
#[pyclass(module = "fitwatch._core")]
pub struct EarlyStopping(pub core::EarlyStopping);

/// The state of a metric: best value, wait, whether it has stalled, the mean and the weight of its
/// smoothing, and the value that passed the divergence threshold.
type Progress = (Option<f64>, i64, bool, f64, f64, Option<f64>);

/// A metric's direction (whether larger is better), signed minimum change, baseline, divergence
/// threshold and stopping threshold.
type Rule = (bool, f64, Option<f64>, Option<f64>, Option<f64>);

best_methods!(EarlyStopping, first.best);
copying_methods!(EarlyStopping);

#[pymethods]
impl EarlyStopping {
    #[new]
    fn new() -> Self {
        Self(core::EarlyStopping::default())
    }

    #[getter]
    fn patience(&self) -> Limit {
        self.0.first.patience.limit.into()
    }

    #[setter]
    fn set_patience(&mut self, limit: Limit) {
        let limit = limit.into();
        for metric in self.0.metrics_mut() {
            metric.patience.limit = limit;
        }
    }

    #[getter]
    fn wait(&self) -> i64 {
        self.0.first.patience.waited
    }

    #[setter]
    fn set_wait(&mut self, waited: i64) {
        self.0.first.patience.waited = waited;
    }

    #[getter]
    fn baseline(&self) -> Option<f64> {
        self.0.first.baseline
    }

    #[setter]
    fn set_baseline(&mut self, value: Option<f64>) {
        self.0.first.baseline = value;
    }

    #[getter]
    fn start_from_epoch(&self) -> i64 {
        self.0.start
    }

    #[setter]
    fn set_start_from_epoch(&mut self, epoch: i64) {
        self.0.start = epoch;
    }

    #[getter]
    fn best_epoch(&self) -> i64 {
        self.0.best_epoch
    }

    #[setter]
    fn set_best_epoch(&mut self, epoch: i64) {
        self.0.best_epoch = epoch;
    }

    #[getter]
    fn stopped_epoch(&self) -> i64 {
        self.0.stopped_epoch
    }

    #[setter]
    fn set_stopped_epoch(&mut self, epoch: i64) {
        self.0.stopped_epoch = epoch;
    }

    #[getter]
    fn best_batch(&self) -> Option<i64> {
        self.0.best_batch
    }

    #[setter]
    fn set_best_batch(&mut self, batch: Option<i64>) {
        self.0.best_batch = batch;
    }

    #[getter]
    fn stopped_batch(&self) -> Option<i64> {
        self.0.stopped_batch
    }

    #[setter]
    fn set_stopped_batch(&mut self, batch: Option<i64>) {
        self.0.stopped_batch = batch;
    }

    /// Sets how many metrics are watched, how they are combined, and the half-life of smoothing.
    fn watch(&mut self, metrics: usize, either: bool, halflife: Option<f64>) {
        self.0.combine = if either {
            core::Combine::Any
        } else {
            core::Combine::All
        };
        let limit = self.0.first.patience.limit;
        let others = metrics.saturating_sub(1);
        self.0.others.resize(others, core::Metric::default());
        self.0.goals.resize(metrics, core::Goal::default());
        for metric in self.0.metrics_mut() {
            metric.patience.limit = limit;
            metric.smoothing = halflife.map(core::Smoothing::new);
        }
    }

    /// Sets the rules of all metrics, and compares in double precision.
    fn judge(&mut self, rules: Vec<Rule>, relative: bool) {
        self.0.goals.resize(rules.len(), core::Goal::default());
        for (goal, rule) in self.0.goals.iter_mut().zip(&rules) {
            goal.threshold = rule.4;
        }
        for (metric, rule) in self.0.metrics_mut().zip(rules) {
            let (larger_is_better, signed_delta, baseline, threshold, _) = rule;
            metric.best.rule = core::Improvement {
                direction: if larger_is_better {
                    core::Direction::Max
                } else {
                    core::Direction::Min
                },
                signed_delta,
                relative,
                width: core::Width::F64,
                flush_subnormal: false,
            };
            metric.baseline = baseline;
            metric.divergence_threshold = threshold;
        }
    }

    /// Resets the states of the metrics.
    fn reset(&mut self) {
        self.0.best_batch = None;
        self.0.stopped_batch = None;
        self.0.diverged = None;
        self.0.ended = false;
        for goal in &mut self.0.goals {
            goal.reached_at = None;
        }
        for metric in self.0.metrics_mut() {
            metric.best.value = None;
            metric.patience.waited = 0;
            metric.stalled = false;
            metric.diverged_at = None;
            if let Some(smoothing) = &mut metric.smoothing {
                *smoothing = core::Smoothing::new(smoothing.halflife);
            }
        }
    }

    /// The states of the metrics.
    #[getter]
    fn progress(&self) -> Vec<Progress> {
        let metrics = self.0.metrics();
        let progress = metrics.map(|metric| {
            let (mean, weight) = metric
                .smoothing
                .map_or((0.0, 0.0), |mean| (mean.mean, mean.weight));
            (
                metric.best.value,
                metric.patience.waited,
                metric.stalled,
                mean,
                weight,
                metric.diverged_at,
            )
        });
        progress.collect()
    }

    #[setter]
    fn set_progress(&mut self, progress: Vec<Progress>) {
        for (metric, (best, waited, stalled, mean, weight, diverged_at)) in
            self.0.metrics_mut().zip(progress)
        {
            metric.diverged_at = diverged_at;
            metric.best.value = best;
            metric.patience.waited = waited;
            metric.stalled = stalled;
            if let Some(smoothing) = &mut metric.smoothing {
                (smoothing.mean, smoothing.weight) = (mean, weight);
            }
        }
    }

    /// The values that have reached the stopping thresholds of the metrics; in a list that is set,
    /// missing ones stand for none.
    #[getter]
    fn reached_at(&self) -> Vec<Option<f64>> {
        self.0.goals.iter().map(|goal| goal.reached_at).collect()
    }

    #[setter]
    #[allow(clippy::needless_pass_by_value)] // the argument type of a setter
    fn set_reached_at(&mut self, values: Vec<Option<f64>>) {
        let metrics = self.0.metrics().count();
        self.0.goals.resize(metrics, core::Goal::default());
        for (number, goal) in self.0.goals.iter_mut().enumerate() {
            goal.reached_at = values.get(number).copied().flatten();
        }
    }

    /// The indices of the metrics that have reached their current stopping thresholds; none while
    /// these do not suffice to stop.
    fn reached(&self) -> Vec<usize> {
        self.0.reached().collect()
    }

    /// The indices of the metrics that have stopped improving.
    fn stalled(&self) -> Vec<usize> {
        self.0.stalled().collect()
    }

    /// The indices of the metrics that have diverged by their current thresholds.
    fn diverged(&self) -> Vec<usize> {
        self.0.diverged().collect()
    }

    /// Whether a stopped training would also stop by the current rules.
    fn still_stops(&self) -> bool {
        self.0.still_stops()
    }

    /// Takes the values of one epoch, one per metric.
    fn update(&mut self, epoch: i64, values: Vec<Option<f64>>) -> Decision {
        let at = core::Moment { epoch, batch: None };
        self.0.update(at, &of_one_unit(values)).into()
    }

    /// Takes the values of a validation, one per metric.
    ///
    /// Args:
    ///     number: The number of the validation, from 0.
    ///     epoch: The epoch.
    ///     batch: The last batch before it, from 0 and across epochs.
    ///     values: The values.
    fn update_validation(
        &mut self,
        number: i64,
        epoch: i64,
        batch: i64,
        values: Vec<Option<f64>>,
    ) -> Decision {
        let at = core::Moment {
            epoch,
            batch: Some(batch),
        };
        self.0.update_unit(number, at, &of_one_unit(values)).into()
    }

    /// Records that training was stopped for another reason.
    fn stop(&mut self, epoch: i64, batch: Option<i64>) {
        self.0.stop(core::Moment { epoch, batch });
    }
}

fn of_one_unit(values: Vec<Option<f64>>) -> Vec<Option<core::Value>> {
    values
        .into_iter()
        .map(|value| value.map(|value| core::Value { value, units: 1 }))
        .collect()
}
