//! Keeps the values of metrics in memory.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::row::{Column, Row};
use crate::series::Series;
use crate::sink::{Batch, Gate, Outcome, Sink, Wants};

/// Appends values to one series for each metric: those of a step column where there is one of a
/// metric's name, else the metric in the logs. All series have equally many values; NaN stands for a
/// value that a batch does not have.
///
/// Without step columns, the action is called instead if a metric is missing or not a number.
///
/// Args:
///     series: Pairs of the name of a metric and its series.
///     make: A function that returns a new series for a name, as long as the others; all metrics and
///         step columns are then kept. None keeps only those of `series`.
#[pyclass(module = "fitwatch._core")]
pub struct Losses {
    columns: Vec<(Column, Py<Series>)>,
    make: Option<Py<PyAny>>,
    /// The layout of the last row, all of whose columns have series.
    known: Option<(u64, u64)>,
}

#[pymethods]
impl Losses {
    #[new]
    #[pyo3(signature = (series, make=None))]
    fn new(series: Vec<(String, Py<Series>)>, make: Option<Py<PyAny>>) -> Self {
        Self {
            columns: series
                .into_iter()
                .map(|(name, series)| (Column::new(name), series))
                .collect(),
            make,
            known: None,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.make)
    }

    fn __clear__(&mut self) {
        self.make = None;
    }
}

impl Losses {
    /// The names of a row's columns that have no series yet.
    fn new_names(&mut self, row: &Row<'_>) -> Vec<String> {
        if self.make.is_none() || self.known == Some(row.layout()) {
            return Vec::new();
        }
        self.known = Some(row.layout());
        let metrics = row.schema.texts().flatten();
        let all = metrics.chain(row.additional().map(|(_, name)| name));
        let is_known = |name: &str| self.columns.iter().any(|(column, _)| column.name == name);
        all.filter(|name| !is_known(name))
            .map(str::to_owned)
            .collect()
    }
}

impl Sink for Py<Losses> {
    fn wants(&self, py: Python<'_>) -> Wants {
        let this = self.borrow(py);
        Wants {
            columns: this
                .columns
                .iter()
                .map(|(column, _)| column.name.clone())
                .collect(),
            rows: this.make.is_some(),
            ..Wants::default()
        }
    }

    fn gate(&self, _batch: &Batch<'_, '_>) -> Gate {
        Gate::Open
    }

    #[allow(clippy::cast_possible_truncation)] // a series is float32
    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let new = self.borrow_mut(py).new_names(row);
        for name in new {
            let make = self.borrow(py).make.as_ref().map(|it| it.clone_ref(py));
            let Some(make) = make else { continue };
            let series = make.call1(py, (name.as_str(),));
            match series.and_then(|series| series.extract(py).map_err(PyErr::from)) {
                Ok(series) => self
                    .borrow_mut(py)
                    .columns
                    .push((Column::new(name), series)),
                Err(error) => error.write_unraisable(py, None),
            }
        }
        let this = &mut *self.borrow_mut(py);
        let batches = row.batches();
        let known = |(column, _): &mut (Column, _)| row.source(column).is_some();
        if batches == 0 && !this.columns.iter_mut().all(known) {
            return Outcome::Action;
        }
        for (column, series) in &mut this.columns {
            let source = row.source(column);
            let mut series = series.borrow_mut(py);
            for place in 0..batches.max(1) {
                let value = source.and_then(|source| row.value(source, place));
                series.0.push(value.unwrap_or(f64::NAN) as f32);
            }
        }
        Outcome::Done
    }
}
