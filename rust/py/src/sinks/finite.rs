//! A check that metrics stay finite.

use pyo3::prelude::*;

use super::names;
use crate::row::{Column, Row};
use crate::sink::{Batch, Decides, Gate, Outcome, Sink, Wants};
use crate::value::Cell;

/// Calls the action when a metric is NaN, infinite or not a number. Missing metrics are ignored.
///
/// Args:
///     metrics: The names of the metrics.
#[pyclass(module = "fitwatch._core")]
pub struct Finite {
    columns: Vec<Column>,
}

#[pymethods]
impl Finite {
    #[new]
    fn new(metrics: Vec<String>) -> Self {
        Self {
            columns: metrics.into_iter().map(Column::new).collect(),
        }
    }
}

impl Sink for Py<Finite> {
    fn wants(&self, py: Python<'_>) -> Wants {
        Wants {
            columns: names(&self.borrow(py).columns),
            decides: Decides::InTime,
            ..Wants::default()
        }
    }

    fn gate(&self, _batch: &Batch<'_, '_>) -> Gate {
        Gate::Open
    }

    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let fine = |column: &mut Column| match column.position(row.schema) {
            Some(at) => matches!(row.cell(at), Cell::Number(value) if value.is_finite()),
            None => true,
        };
        if self.borrow_mut(py).columns.iter_mut().all(fine) {
            Outcome::Done
        } else {
            Outcome::Action
        }
    }
}
