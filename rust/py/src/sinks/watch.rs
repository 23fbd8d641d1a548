//! Feeds the values of batches to a policy.

use std::time::Instant;

use fitwatch_core::policies as core;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::batch_policy::Policy;
use super::names;
use crate::policies::Decision;
use crate::row::{Column, Row};
use crate::sink::{Batch, Decides, Gate, Outcome, Sink, Wants};

/// Feeds the values of batches to a policy: those of a step column where there is one of a metric's
/// name, else the metric in the logs.
///
/// A decision is left in `verdict`. The action carries it out before the next value is fed.
///
/// Args:
///     policy: A policy that judges batches: an `EarlyStopping`, a `Plateau` or `Spikes`.
///     metrics: The names of its metrics, in order; none to watch the time only.
///     steps: Batches that a call of the train function trains.
///     prompt: Whether the action is called for improvements too, with the weights that improved.
///     `max_time`: Seconds after which the action is called once, without a verdict. It is also
///         called once when a metric is missing.
#[pyclass(module = "fitwatch._core")]
pub struct Watch {
    policy: Policy,
    columns: Vec<Column>,
    steps: i64,
    prompt: bool,
    max_time: Option<f64>,
    /// Seconds that had passed when the clock was last set, and the time of that.
    passed: (f64, Instant),
    /// The number of batches so far.
    #[pyo3(get, set)]
    seen: i64,
    /// The current epoch.
    #[pyo3(get, set)]
    epoch: i64,
    /// The last decision, and the number of its batch (from 0, across epochs).
    #[pyo3(get)]
    verdict: Option<(Decision, i64)>,
    /// The ordinal of the row that is being fed, and the index of its next batch.
    row: u64,
    next: usize,
    /// The last improvement in the row that is not carried out yet.
    improved: Option<i64>,
    /// The decision after that improvement.
    pending: Option<(Decision, i64)>,
    /// Whether `max_time` was over when a batch ended.
    over: bool,
    /// Whether the action was called for that, and for a missing metric.
    said: (bool, bool),
    /// Whether values are kept for `held()` instead of being fed to the policy.
    #[pyo3(get, set)]
    holds: bool,
    held: Vec<Values>,
}

/// How many batches of a call have step columns, and the values of each metric: one per batch from a
/// step column, one after the last batch from the logs, or none. None stands for a batch that has no
/// value.
type Values = (usize, Vec<Vec<Option<f64>>>);

#[pymethods]
impl Watch {
    #[new]
    #[pyo3(signature = (policy, metrics, steps=1, prompt=false, max_time=None))]
    fn new(
        policy: Policy,
        metrics: Vec<String>,
        steps: i64,
        prompt: bool,
        max_time: Option<f64>,
    ) -> Self {
        Self {
            policy,
            columns: metrics.into_iter().map(Column::new).collect(),
            steps: steps.max(1),
            prompt,
            max_time,
            passed: (0.0, Instant::now()),
            seen: 0,
            epoch: 0,
            verdict: None,
            row: 0,
            next: 0,
            improved: None,
            pending: None,
            over: false,
            said: (false, false),
            holds: false,
            held: Vec::new(),
        }
    }

    /// Whether `max_time` is over. Reads the clock.
    #[getter]
    fn time_is_over(&self) -> bool {
        self.max_time.is_some_and(|time| self.elapsed() >= time)
    }

    /// Seconds since the fit began, with those of the run before.
    #[getter]
    fn elapsed(&self) -> f64 {
        let (before, since) = self.passed;
        before + since.elapsed().as_secs_f64()
    }

    #[setter]
    fn set_elapsed(&mut self, seconds: f64) {
        self.passed = (seconds, Instant::now());
    }

    /// Feeds the values of a call's batches.
    ///
    /// Args:
    ///     batches: How many batches of the call have step columns.
    ///     values: The values of each metric: one per batch from a step column (None for a batch
    ///         that has none), one after the last batch from the logs, or none.
    ///     again: Whether the last call with these values returned True.
    ///
    /// Returns:
    ///     Whether there is a verdict to carry out; if so, values may be left.
    #[pyo3(signature = (batches, values, again=false))]
    #[allow(clippy::needless_pass_by_value)] // PyO3 makes a new list
    fn feed(
        slf: &Bound<'_, Self>,
        batches: usize,
        values: Vec<Vec<Option<f64>>>,
        again: bool,
    ) -> bool {
        let mut this = slf.borrow_mut();
        if !again {
            this.begin_row();
        }
        this.advance(slf.py(), batches, &values)
    }

    /// The values kept since the last call.
    fn held(&mut self) -> Vec<Values> {
        std::mem::take(&mut self.held)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.policy.traverse(&visit)
    }
}

impl Sink for Py<Watch> {
    fn wants(&self, py: Python<'_>) -> Wants {
        let this = self.borrow(py);
        Wants {
            columns: names(&this.columns),
            decides: if this.columns.is_empty() || this.holds {
                Decides::Nothing
            } else if this.prompt {
                Decides::AtOnce
            } else {
                Decides::InTime
            },
            batches: usize::try_from(this.steps).unwrap_or(1),
            ..Wants::default()
        }
    }

    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        let mut this = self.borrow_mut(batch.number.py());
        this.over = this.over || batch.clock_read && this.time_is_over();
        match (this.columns.is_empty(), this.over) {
            (true, true) => Gate::Act,
            (true, false) => Gate::Shut,
            (false, _) => Gate::Open,
        }
    }

    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let this = &mut *self.borrow_mut(py);
        if this.row != row.ordinal {
            // An exception may have interrupted the previous row.
            this.row = row.ordinal;
            this.begin_row();
        }
        let values: Vec<_> = this
            .columns
            .iter_mut()
            .map(|column| row.values(column))
            .collect();
        if values.iter().any(Vec::is_empty) && !std::mem::replace(&mut this.said.1, true) {
            this.verdict = None;
            return Outcome::Again;
        }
        if this.holds {
            // Also without values: another process may have some.
            this.held.push((row.batches(), values));
        } else if row.batches() == 0 && values.iter().all(Vec::is_empty) {
            return Outcome::Done;
        } else if this.advance(py, row.batches(), &values) {
            return Outcome::Again;
        }
        if this.over && !std::mem::replace(&mut this.said.0, true) {
            return Outcome::Action;
        }
        Outcome::Done
    }
}

impl Watch {
    fn begin_row(&mut self) {
        self.next = 0;
        self.improved = None;
        self.pending = None;
    }

    /// Feeds values until there is a verdict to carry out, or none is left.
    fn advance(&mut self, py: Python<'_>, batches: usize, values: &[Vec<Option<f64>>]) -> bool {
        let count = batches.max(1);
        // Without step columns, the logs stand for all batches of the call.
        let (units, each) = match i64::try_from(batches) {
            Ok(0) => (self.steps, self.steps),
            known => (known.unwrap_or(i64::MAX), 1),
        };
        if let Some(pending) = self.pending.take() {
            self.verdict = Some(pending);
            return true;
        }
        while self.next < count {
            let place = self.next;
            self.next += 1;
            self.seen = self.seen.saturating_add(each);
            let last = self.next == count;
            let values: Vec<Option<core::Value>> = values
                .iter()
                .map(|metric| match metric.get(place) {
                    Some(&value) if metric.len() == count => {
                        value.map(|value| core::Value { value, units: each })
                    }
                    _ if last => {
                        let value = metric.first().copied().flatten();
                        value.map(|value| core::Value { value, units })
                    }
                    _ => None,
                })
                .collect();
            let batch = self.seen - 1;
            let at = core::Moment {
                epoch: self.epoch,
                batch: Some(batch),
            };
            match self.policy.take(py, at, &values) {
                core::Decision::Improved if self.prompt => self.improved = Some(batch),
                core::Decision::Ignore | core::Decision::Improved | core::Decision::Wait => {}
                decision => {
                    self.verdict = Some((decision.into(), batch));
                    if let Some(improved) = self.improved.take() {
                        self.pending = self.verdict.replace((Decision::Improved, improved));
                    }
                    return true;
                }
            }
        }
        self.verdict = self
            .improved
            .take()
            .map(|batch| (Decision::Improved, batch));
        if self.verdict.is_none() {
            self.next = 0;
        }
        self.verdict.is_some()
    }
}
