//! A metric's value of every batch, kept.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::row::{Column, Row};
use crate::series::Series;
use crate::sink::Act;
use crate::value::Cell;

/// Appends a metric to a series; where it is missing or no number, asks for an action.
///
/// Args:
///     series: Where to append.
///     metric: Its name.
///     losses: Where the losses of a call's batches are found, which take the metric's place where
///         they could be taken.
#[pyclass(module = "fitwatch._core")]
pub struct Losses {
    series: Py<Series>,
    pub column: Column,
    pub source: Option<Py<PyAny>>,
}

#[pymethods]
impl Losses {
    #[new]
    #[pyo3(signature = (series, metric, losses=None))]
    fn new(series: Py<Series>, metric: String, losses: Option<Py<PyAny>>) -> Self {
        Self {
            series,
            column: Column::new(metric),
            source: losses,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.source)
    }

    fn __clear__(&mut self) {
        self.source = None;
    }
}

impl Losses {
    #[allow(clippy::cast_possible_truncation)] // a series is float32
    pub fn take(&mut self, py: Python<'_>, row: &Row<'_>) -> Act {
        let losses = row.losses(self.source.is_some());
        if losses.len() > 0 {
            let mut series = self.series.borrow_mut(py);
            losses.for_each(|loss| series.0.push(loss as f32));
            return Act::Nothing;
        }
        match self.column.position(row.schema).map(|at| row.cell(at)) {
            Some(Cell::Number(value)) => {
                self.series.borrow_mut(py).0.push(*value as f32);
                Act::Nothing
            }
            _ => Act::Batch,
        }
    }
}
