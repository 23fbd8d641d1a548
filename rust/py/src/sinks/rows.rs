//! Rows of a CSV file for batches.

use std::collections::VecDeque;

use fitwatch_core::files::csv::Field;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::error::Error;
use crate::files::CsvFile;
use crate::row::{Row, Share};
use crate::sink::{Batch, Gate, Outcome, Sink, Wants};
use crate::value::Cell;

/// Writes the values of every `every`-th batch of an epoch to a CSV file.
///
/// If the step columns have values, each batch of the call that is due gets a row with its own
/// values of these columns; only the last of these rows has the metrics. If a value is not a number
/// or has no column, the action is called instead.
///
/// Args:
///     every: The number of batches between two rows.
///     file: The file to write to.
///     failed: Called with the `OSError` when the file cannot be written.
///     steps: The number of batches that a call trains.
///     spikes: Whether the file has a column `spike`.
#[pyclass(module = "fitwatch._core")]
pub struct Rows {
    every: i64,
    /// The current epoch.
    #[pyo3(get)]
    epoch: i64,
    file: Py<CsvFile>,
    failed: Option<Py<PyAny>>,
    steps: i64,
    /// The last batch that `is_due` was called with.
    last: Option<i64>,
    /// The batches that are due: ordinal and number.
    due: VecDeque<(u64, i64)>,
    /// Spikes to write, if there is a column for them: the number of the batch, and the value.
    spikes: Option<VecDeque<(i64, f64)>>,
    /// The source of each column, for rows of this layout.
    sources: Option<((u64, u64), Vec<Source>)>,
}

/// Where a column's field comes from.
#[derive(Clone, Copy)]
enum Source {
    Epoch,
    Batch,
    Spike,
    /// A metric, by its position in the row.
    Metric(usize),
    /// A step column.
    Step(usize),
    Nowhere,
}

#[pymethods]
impl Rows {
    #[new]
    #[pyo3(signature = (every, file, failed, steps=1, spikes=false))]
    fn new(every: i64, file: Py<CsvFile>, failed: Py<PyAny>, steps: i64, spikes: bool) -> Self {
        Self {
            every: every.max(1),
            epoch: 0,
            file,
            failed: Some(failed),
            steps,
            last: None,
            due: VecDeque::new(),
            spikes: spikes.then(VecDeque::new),
            sources: None,
        }
    }

    #[setter]
    fn set_epoch(&mut self, epoch: i64) {
        if epoch != self.epoch {
            // What is left of the epoch before belongs into the next row.
            for (batch, _) in self.spikes.iter_mut().flatten() {
                *batch = i64::MIN;
            }
        }
        self.epoch = epoch;
    }

    /// Writes a spike into the row of its batch, or else into the next row.
    ///
    /// Args:
    ///     batch: The number of the batch in its epoch.
    ///     value: The value.
    fn mark(&mut self, batch: i64, value: f64) {
        if let Some(spikes) = &mut self.spikes {
            spikes.push_back((batch, value));
        }
    }

    /// Takes the spikes up to a batch; returns the last one's value.
    fn spike(&mut self, batch: i64) -> Option<f64> {
        let spikes = self.spikes.as_mut()?;
        let mut last = None;
        while let Some(&(number, value)) = spikes.front()
            && number <= batch
        {
            spikes.pop_front();
            last = Some(value);
        }
        last
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.failed)
    }

    fn __clear__(&mut self) {
        self.failed = None;
    }
}

impl Rows {
    /// Whether a row is due after this batch, counted from 0 in each epoch.
    ///
    /// If a call trains several batches, only the last one is seen here: a row is due if any of
    /// them was due.
    fn is_due(&mut self, batch: i64) -> bool {
        // A number that does not grow begins a new epoch.
        let before = self.last.filter(|&last| last < batch);
        self.last = Some(batch);
        let turn = |batch: i64| batch.saturating_add(1).div_euclid(self.every);
        turn(batch) > before.map_or(0, turn)
    }

    /// The batches of a call that are due. `batch` is the number of the call's last batch, counted
    /// from 0 in each epoch; `batches` is how many of its batches have values in the step columns.
    fn shares(&self, batch: i64, batches: usize) -> Vec<Share> {
        let share = |number, place| Share {
            number,
            place,
            last: false,
            missing: Some("NA"),
        };
        let first = batch - self.steps + 1;
        let mut shares: Vec<Share> = (first..)
            .zip(0..batches)
            .filter(|(batch, _)| (batch + 1) % self.every == 0)
            .map(|(batch, place)| share(batch, place))
            .collect();
        if batches == 0 {
            shares.push(share(batch, 0));
        }
        if let Some(last) = shares.last_mut() {
            last.last = true;
        }
        shares
    }

    /// Finds the source of each column. Returns `false` if a metric or the batch has no column.
    fn find_sources(&mut self, columns: &[String], row: &Row<'_>) -> bool {
        let known = matches!(&self.sources, Some((layout, sources))
            if *layout == row.layout() && sources.len() == columns.len());
        if known {
            return true;
        }
        let marks = self.spikes.is_some();
        let source = |column: &String| match (column.as_str(), row.schema.position(column)) {
            ("epoch", _) => Source::Epoch,
            ("batch", _) => Source::Batch,
            ("spike", _) if marks => Source::Spike,
            (_, at) => match (row.steps.position(column), at) {
                (Some(step), _) => Source::Step(step),
                (None, Some(at)) => Source::Metric(at),
                (None, None) => Source::Nowhere,
            },
        };
        let sources: Vec<Source> = columns.iter().map(source).collect();
        let has = |name: &str| columns.iter().any(|column| column == name);
        let metrics = row.schema.texts().all(|name| name.is_some_and(has));
        if !has("batch") || !metrics || !row.additional().all(|(_, name)| has(name)) {
            return false;
        }
        self.sources = Some((row.layout(), sources));
        true
    }

    fn field(
        &self,
        source: Source,
        row: &Row<'_>,
        share: &Share,
        spike: Option<f64>,
    ) -> Field<'static> {
        match source {
            Source::Epoch => Field::Int(self.epoch),
            Source::Batch => Field::Int(share.number),
            Source::Spike => spike.map_or(Field::Missing, Field::Float),
            Source::Step(at) => row
                .step_at(at, share.place)
                .map_or(Field::Missing, Field::Float),
            Source::Metric(at) => match row.cell(at) {
                Cell::Number(value) if share.last => Field::Float(*value),
                _ => Field::Missing,
            },
            Source::Nowhere => Field::Missing,
        }
    }
}

impl Sink for Py<Rows> {
    fn wants(&self, _py: Python<'_>) -> Wants {
        Wants {
            rows: true,
            clock: true,
            ..Wants::default()
        }
    }

    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        let Ok(number) = batch.number.extract() else {
            return Gate::Hook;
        };
        let this = &mut *self.borrow_mut(batch.number.py());
        let due = if batch.batches > 0 {
            this.last = Some(number);
            !this.shares(number, batch.batches).is_empty()
        } else {
            this.is_due(number)
        };
        if !due {
            return Gate::Shut;
        }
        this.due.push_back((batch.ordinal, number));
        Gate::Open
    }

    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let file = self.borrow(py).file.clone_ref(py);
        // Lock the file before the borrow, because this may wait for another thread.
        let mut file = file.get().lock(py);
        let mut guard = self.borrow_mut(py);
        let this = &mut *guard;
        let Some(batch) = super::kept(&mut this.due, row.ordinal) else {
            return Outcome::Done;
        };
        let shares = this.shares(batch, row.batches());
        if !this.find_sources(file.columns(), row) || !row.is_numeric() {
            return Outcome::Shares(shares);
        }
        let mut written = Ok(());
        for share in &shares {
            let spike = this.spike(share.number);
            let sources = this.sources.iter().flat_map(|known| &known.1);
            let fields = sources.map(|&source| this.field(source, row, share, spike));
            written = written.and(file.add_row(fields, row.now));
        }
        let failed = this.failed.as_ref().map(|it| it.clone_ref(py));
        drop(file);
        drop(guard);
        if let (Err(error), Some(failed)) = (written, failed) {
            // An error of the file must not end the training.
            let error = PyErr::from(Error::from(error)).into_value(py);
            if let Err(error) = failed.call1(py, (error,)) {
                error.write_unraisable(py, None);
            }
        }
        Outcome::Done
    }
}
