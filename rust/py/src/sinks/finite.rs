//! Metrics that must stay finite.

use pyo3::prelude::*;

use crate::row::{Column, Row};
use crate::sink::Act;
use crate::value::Cell;

/// Asks for an action when one of some metrics is NaN, infinite or no number; a missing one is fine.
///
/// Args:
///     metrics: Their names.
#[pyclass(module = "fitwatch._core")]
pub struct Finite {
    pub columns: Vec<Column>,
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

impl Finite {
    pub fn take(&mut self, row: &Row<'_>) -> Act {
        let fine = |column: &mut Column| match column.position(row.schema) {
            Some(at) => matches!(row.cell(at), Cell::Number(value) if value.is_finite()),
            None => true,
        };
        if self.columns.iter_mut().all(fine) {
            Act::Nothing
        } else {
            Act::Batch
        }
    }
}
