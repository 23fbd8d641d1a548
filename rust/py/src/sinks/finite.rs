//! A metric that must stay finite.

use pyo3::prelude::*;

use super::Act;
use crate::reader::Cell;
use crate::recorder::queue::Row;
use crate::recorder::schema::Column;

/// Asks for an action when a metric is NaN, infinite or no number; a missing one is fine.
///
/// Args:
///     metric: Its name.
#[pyclass(module = "fitwatch._core")]
pub struct Finite {
    pub column: Column,
}

#[pymethods]
impl Finite {
    #[new]
    fn new(metric: String) -> Self {
        Self {
            column: Column::new(metric),
        }
    }
}

impl Finite {
    pub fn take(&mut self, row: &Row<'_>) -> Act {
        match self.column.position(row.schema).map(|at| row.cell(at)) {
            Some(Cell::Number(value)) if value.is_finite() => Act::Nothing,
            None => Act::Nothing,
            Some(_) => Act::Batch,
        }
    }
}
