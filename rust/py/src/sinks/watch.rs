//! Values of batches for a policy.

use std::time::Instant;

use fitwatch_core::policies as core;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::batch_policy::Policy;
use super::names;
use crate::policies::Decision;
use crate::row::{Column, Row};
use crate::sink::{Batch, Decides, Gate, Outcome, Sink, Wants};
use crate::value::Cell;

/// Feeds the values of batches to a policy, and those of the step column `loss` where they are known.
/// What it decides is left in `verdict` and carried out by
/// the action, before the next value is fed.
///
/// Args:
///     policy: An `EarlyStopping` or a `Plateau`.
///     metrics: The names of its metrics, in order; none to watch the time only.
///     steps: Batches that a call trains: what a value of the logs stands for.
///     prompt: Whether an improvement is acted on too, and nothing may come late.
///     `max_time`: Seconds after which the action is called, without a verdict; so it is, once, when
///         a metric is missing.
#[pyclass(module = "fitwatch._core")]
pub struct Watch {
    policy: Policy,
    columns: Vec<Column>,
    steps: i64,
    prompt: bool,
    max_time: Option<f64>,
    /// Seconds that had passed at a moment.
    passed: (f64, Instant),
    /// Batches so far.
    #[pyo3(get, set)]
    seen: i64,
    /// The epoch that is running.
    #[pyo3(get, set)]
    epoch: i64,
    /// What was decided last, and the number of the batch (from 0, across epochs) that decided it.
    #[pyo3(get)]
    verdict: Option<(Decision, i64)>,
    /// The row that is fed, and the place in it from which to go on.
    row: u64,
    next: usize,
    /// The last improvement in the row that was not acted on yet.
    improved: Option<i64>,
    /// What was decided after that improvement.
    pending: Option<(Decision, i64)>,
    /// Whether the time was over when a batch ended.
    over: bool,
    /// Whether the action was called because of that, and because a metric is missing.
    said: (bool, bool),
    /// Whether values are kept for `held()`, and not fed to the policy.
    #[pyo3(get, set)]
    holds: bool,
    held: Vec<Values>,
}

/// The step column that a policy can watch.
const LOSS: &str = "loss";

/// The losses of a call's batches, and the metrics after the last of them.
type Values = (Vec<f64>, Vec<Option<f64>>);

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

    /// Whether the time is over. It looks at the clock.
    #[getter]
    fn time_is_over(&self) -> bool {
        self.max_time.is_some_and(|time| self.elapsed() >= time)
    }

    /// Seconds so far.
    #[getter]
    fn elapsed(&self) -> f64 {
        let (before, since) = self.passed;
        before + since.elapsed().as_secs_f64()
    }

    #[setter]
    fn set_elapsed(&mut self, seconds: f64) {
        self.passed = (seconds, Instant::now());
    }

    /// Takes the values of a call's batches: their losses, if they are known, and the metrics after
    /// the last of them. Whether there is a verdict to be carried out; if so, it has to be called
    /// again with the same values and `again=True`.
    #[pyo3(signature = (losses, metrics, again=false))]
    #[allow(clippy::needless_pass_by_value)] // what PyO3 makes of a list
    fn feed(
        slf: &Bound<'_, Self>,
        losses: Vec<f64>,
        metrics: Vec<Option<f64>>,
        again: bool,
    ) -> bool {
        let mut this = slf.borrow_mut();
        if !again {
            this.begin_row();
        }
        this.advance(slf.py(), &losses, &metrics)
    }

    /// The values that were kept since the last time.
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
            rows: false,
            decides: if this.columns.is_empty() || this.holds {
                Decides::Nothing
            } else if this.prompt {
                Decides::AtOnce
            } else {
                Decides::InTime
            },
            batches: usize::try_from(this.steps).unwrap_or(1),
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
            // An exception may have left the row before in the middle.
            this.row = row.ordinal;
            this.begin_row();
        }
        let metric = |column: &mut Column| match row.cell(column.position(row.schema)?) {
            Cell::Number(number) => Some(*number),
            _ => None,
        };
        let metrics: Vec<Option<f64>> = this.columns.iter_mut().map(metric).collect();
        let losses: Vec<f64> = row.step(LOSS).collect();
        let mut given = this.columns.iter().zip(&metrics);
        let missing = |(column, metric): (&Column, &Option<f64>)| {
            metric.is_none() && (losses.is_empty() || column.name != LOSS)
        };
        if given.any(missing) && !std::mem::replace(&mut this.said.1, true) {
            this.verdict = None;
            return Outcome::Again;
        }
        if this.holds {
            // Even if there are none: there may be some in another process.
            this.held.push((losses, metrics));
        } else if metrics.iter().all(Option::is_none) && losses.is_empty() {
            return Outcome::Done;
        } else if this.advance(py, &losses, &metrics) {
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

    /// Feeds values until there is something to carry out, or none is left.
    fn advance(&mut self, py: Python<'_>, losses: &[f64], metrics: &[Option<f64>]) -> bool {
        let count = losses.len().max(1);
        // Without losses, the logs stand for all batches of the call.
        let units = if losses.is_empty() {
            self.steps
        } else {
            i64::try_from(count).unwrap_or(i64::MAX)
        };
        let each = if losses.is_empty() { self.steps } else { 1 };
        if let Some(pending) = self.pending.take() {
            self.verdict = Some(pending);
            return true;
        }
        while self.next < count {
            let place = self.next;
            self.next += 1;
            self.seen = self.seen.saturating_add(each);
            let last = self.next == count;
            let values: Vec<Option<core::Value>> = self
                .columns
                .iter()
                .zip(metrics)
                .map(|(column, metric)| match losses.get(place) {
                    Some(&value) if column.name == LOSS => Some(core::Value { value, units: 1 }),
                    _ if last => metric.map(|value| core::Value { value, units }),
                    _ => None,
                })
                .collect();
            let batch = self.seen - 1;
            match self.policy.update(py, self.epoch, batch, &values) {
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
