//! Batch values for a CSV file.

use std::collections::VecDeque;

use fitwatch_core::csv::Field;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::{Act, Batch, Wish, tell_failure};
use crate::csv_file::CsvFile;
use crate::reader::Cell;
use crate::recorder::queue::Row;
use crate::recorder::schema::Schema;

/// Writes the values of every so many batches of an epoch to a CSV file.
///
/// A row with a value that is no number, or that no column is for, is left to the action, and so is
/// the failure of the file to the function `failed`, which is called with the error.
///
/// Args:
///     every: Batches between two rows.
///     file: Where to write.
///     failed: Called with the `OSError` when the file cannot be written.
#[pyclass(module = "fitwatch._core")]
pub struct Rows {
    every: i64,
    /// The epoch that is running.
    #[pyo3(get, set)]
    epoch: i64,
    file: Py<CsvFile>,
    failed: Option<Py<PyAny>>,
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
    fn new(every: i64, file: Py<CsvFile>, failed: Py<PyAny>) -> Self {
        Self {
            every,
            epoch: 0,
            file,
            failed: Some(failed),
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

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.failed)
    }

    fn __clear__(&mut self) {
        self.failed = None;
    }
}

impl Rows {
    pub fn wish(&mut self, batch: &Batch<'_, '_>) -> Wish {
        let Ok(number) = batch.number.extract() else {
            return Wish::Hook;
        };
        if !self.due(number) {
            return Wish::Nothing;
        }
        self.wished.push_back((batch.ordinal, number));
        Wish::Row
    }

    pub fn take(slf: &Bound<'_, Self>, row: &Row<'_>) -> Act {
        let py = slf.py();
        let mut this = slf.borrow_mut();
        let this = &mut *this;
        let Some(batch) = super::wished(&mut this.wished, row.ordinal) else {
            return Act::Nothing;
        };
        let mut file = this.file.borrow_mut(py);
        let columns = file.columns();
        let known = matches!(&this.sources, Some((id, sources))
            if *id == row.schema.id && sources.len() == columns.len());
        if !known {
            match sources(columns, row.schema) {
                Some(sources) => this.sources = Some((row.schema.id, sources)),
                None => return Act::Batch,
            }
        }
        if !row.is_numeric() {
            return Act::Batch;
        }
        let epoch = this.epoch;
        let sources = this.sources.iter().flat_map(|known| &known.1);
        let fields = sources.map(|source| match source {
            Source::Epoch => Field::Int(epoch),
            Source::Batch => Field::Int(batch),
            Source::Cell(at) => match row.cell(*at) {
                Cell::Number(number) => Field::Float(*number),
                _ => Field::Missing,
            },
            Source::Nowhere => Field::Missing,
        });
        if let Err(error) = file.add(fields, row.now) {
            drop(file);
            tell_failure(py, this.failed.as_ref(), error);
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
