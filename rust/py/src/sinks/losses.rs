//! A metric's value of every batch, kept.

use pyo3::prelude::*;

use super::Act;
use crate::reader::Cell;
use crate::recorder::queue::Row;
use crate::recorder::schema::Column;
use crate::series::Series;

/// Appends a metric to a series; where it is missing or no number, asks for an action.
///
/// Args:
///     series: Where to append.
///     metric: Its name.
#[pyclass(module = "fitwatch._core")]
pub struct Losses {
    series: Py<Series>,
    pub column: Column,
}

#[pymethods]
impl Losses {
    #[new]
    fn new(series: Py<Series>, metric: String) -> Self {
        Self {
            series,
            column: Column::new(metric),
        }
    }
}

impl Losses {
    #[allow(clippy::cast_possible_truncation)] // a series is float32
    pub fn take(&mut self, py: Python<'_>, row: &Row<'_>) -> Act {
        match self.column.position(row.schema).map(|at| row.cell(at)) {
            Some(Cell::Number(value)) => {
                self.series.borrow_mut(py).0.push(*value as f32);
                Act::Nothing
            }
            _ => Act::Batch,
        }
    }
}
