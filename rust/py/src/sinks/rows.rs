//! Batch values for a CSV file.

use std::collections::VecDeque;

use fitwatch_core::files::csv::Field;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::tell_failure;
use crate::files::CsvFile;
use crate::row::{Row, Schema};
use crate::sink::{Act, Batch, Wish};
use crate::value::Cell;

/// Writes the values of every so many batches of an epoch to a CSV file.
///
/// A row with a value that is no number, or that no column is for, is left to the action, and so is
/// the failure of the file to the function `failed`, which is called with the error.
///
/// Args:
///     every: Batches between two rows.
///     file: Where to write.
///     failed: Called with the `OSError` when the file cannot be written.
///     losses: Where the losses of a call's batches are found: each batch that is due has a row
///         then, with its own `loss`, and the last of them has the other values.
///     steps: Batches that a call trains.
#[pyclass(module = "fitwatch._core")]
pub struct Rows {
    every: i64,
    /// The epoch that is running.
    #[pyo3(get, set)]
    epoch: i64,
    file: Py<CsvFile>,
    failed: Option<Py<PyAny>>,
    #[pyo3(get, set)]
    pub losses: Option<Py<PyAny>>,
    #[pyo3(get)]
    steps: i64,
    /// The last batch, if there was one in this epoch.
    last: Option<i64>,
    /// The batches whose rows were wished.
    wished: VecDeque<(u64, i64)>,
    /// What each column holds, for the schema with this number and so many columns.
    sources: Option<(u64, Vec<Source>)>,
}

/// Where a column's field comes from.
#[derive(Clone, Copy)]
enum Source {
    Epoch,
    Batch,
    Cell(usize),
    Nowhere,
}

#[pymethods]
impl Rows {
    #[new]
    #[pyo3(signature = (every, file, failed, losses=None, steps=1))]
    fn new(
        every: i64,
        file: Py<CsvFile>,
        failed: Py<PyAny>,
        losses: Option<Py<PyAny>>,
        steps: i64,
    ) -> Self {
        Self {
            every,
            epoch: 0,
            file,
            failed: Some(failed),
            losses,
            steps,
            last: None,
            wished: VecDeque::new(),
            sources: None,
        }
    }

    /// Whether a row is due after this batch, counted from 0 in each epoch.
    ///
    /// With several steps in one call not every batch is seen: a row is due at the first one that
    /// is, when its turn has come.
    fn due(&mut self, batch: i64) -> bool {
        let every = self.every.max(1);
        // The next epoch counts anew.
        let before = self.last.filter(|&last| last < batch);
        self.last = Some(batch);
        let turn = |batch: i64| batch.saturating_add(1).div_euclid(every);
        turn(batch) > before.map_or(0, turn)
    }

    /// The batches of a call that are due, if the losses of all its batches are known: counted from
    /// 0 in each epoch, like the call's own number, which is that of its last batch.
    fn due_in_call(&self, batch: i64, losses: i64) -> Vec<i64> {
        let first = batch - self.steps + 1;
        let due = |batch: &i64| (batch + 1) % self.every.max(1) == 0;
        (first..first + losses).filter(due).collect()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.losses)?;
        visit.call(&self.failed)
    }

    fn __clear__(&mut self) {
        self.failed = None;
        self.losses = None;
    }
}

impl Rows {
    pub fn wish(slf: &Bound<'_, Self>, batch: &Batch<'_, '_>) -> Wish {
        let Ok(number) = batch.number.extract() else {
            return Wish::Hook;
        };
        let py = slf.py();
        let losses = slf.borrow().losses.as_ref().map(|it| it.clone_ref(py));
        let losses = super::count_losses(py, losses.as_ref());
        let mut this = slf.borrow_mut();
        let due = if losses > 0 {
            !this.due_in_call(number, losses).is_empty()
        } else {
            this.due(number)
        };
        if !due {
            return Wish::Nothing;
        }
        this.wished.push_back((batch.ordinal, number));
        Wish::Row
    }

    pub fn take(slf: &Bound<'_, Self>, row: &Row<'_>) -> Act {
        let py = slf.py();
        let file = slf.borrow().file.clone_ref(py);
        // First, since it may wait for another thread.
        let mut file = file.get().lock(py);
        let mut guard = slf.borrow_mut();
        let this = &mut *guard;
        let Some(batch) = super::wished(&mut this.wished, row.ordinal) else {
            return Act::Nothing;
        };
        let columns = file.columns();
        let known = matches!(&this.sources, Some((id, sources))
            if *id == row.schema.id && sources.len() == columns.len());
        if !known {
            match sources(columns, row.schema) {
                Some(sources) => this.sources = Some((row.schema.id, sources)),
                None => return Act::Losses(batch),
            }
        }
        if !row.is_numeric() {
            return Act::Losses(batch);
        }
        let epoch = this.epoch;
        let losses: Vec<f64> = row.losses(this.losses.is_some()).collect();
        let first = batch - this.steps + 1;
        let due = match i64::try_from(losses.len()) {
            Ok(count) if count > 0 => this.due_in_call(batch, count),
            _ => vec![batch],
        };
        let mut written = Ok(());
        for &number in &due {
            let loss = usize::try_from(number - first)
                .ok()
                .and_then(|at| losses.get(at));
            let sources = this.sources.iter().flat_map(|known| &known.1);
            let fields = sources.map(|source| match (source, loss) {
                (Source::Epoch, _) => Field::Int(epoch),
                (Source::Batch, _) => Field::Int(number),
                (Source::Cell(at), Some(&loss)) if row.schema.is_loss(*at) => Field::Float(loss),
                (Source::Cell(at), _) if Some(&number) == due.last() => match row.cell(*at) {
                    Cell::Number(number) => Field::Float(*number),
                    _ => Field::Missing,
                },
                (Source::Cell(_) | Source::Nowhere, _) => Field::Missing,
            });
            written = written.and(file.add_row(fields, row.now));
        }
        let failed = this.failed.as_ref().map(|it| it.clone_ref(py));
        drop(file);
        drop(guard);
        if let Err(error) = written {
            tell_failure(py, failed.as_ref(), error.into());
        }
        Act::Nothing
    }
}

/// What each column holds; None if a value has no column.
fn sources(columns: &[String], schema: &Schema) -> Option<Vec<Source>> {
    let sources: Vec<Source> = columns
        .iter()
        .map(|column| match (column.as_str(), schema.position(column)) {
            ("epoch", _) => Source::Epoch,
            ("batch", _) => Source::Batch,
            (_, Some(at)) => Source::Cell(at),
            (_, None) => Source::Nowhere,
        })
        .collect();
    let cells = sources
        .iter()
        .filter(|source| matches!(source, Source::Cell(_)));
    let numbered = columns.iter().any(|column| column == "batch");
    (numbered && cells.count() == schema.len()).then_some(sources)
}
