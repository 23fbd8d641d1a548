//! The values of a batch, by name.

mod schema;

use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat};

use crate::value::{Cell, Reader};
pub use schema::{Column, Order, Schema};

/// A batch's values, while they are shown to the sinks.
pub struct Row<'a> {
    pub schema: &'a Schema,
    pub ordinal: u64,
    pub now: f64,
    pub losses: usize,
    pub cells: &'a VecDeque<Cell>,
}

impl Row<'_> {
    pub fn cell(&self, at: usize) -> &Cell {
        &self.cells[at]
    }

    /// The losses of the call's batches, in order; none where they could not be taken, or are not
    /// wanted. NaN stands for a value that could not be read.
    pub fn losses(&self, wanted: bool) -> impl ExactSizeIterator<Item = f64> {
        let first = self.schema.len();
        let behind = if wanted { first + self.losses } else { first };
        (first..behind).map(|at| match self.cells[at] {
            Cell::Number(number) => number,
            _ => f64::NAN,
        })
    }

    /// Whether all values are numbers.
    pub fn is_numeric(&self) -> bool {
        (0..self.schema.len()).all(|at| matches!(self.cells[at], Cell::Number(_)))
    }

    /// The row as a dict; what was not read is read now, and what nobody wanted is None.
    pub fn logs<'py>(&self, py: Python<'py>, reader: &Reader) -> PyResult<Bound<'py, PyDict>> {
        let logs = PyDict::new(py);
        for (name, cell) in self.schema.names.iter().zip(self.cells) {
            match cell {
                Cell::Number(number) => logs.set_item(name, PyFloat::new(py, *number))?,
                Cell::Array(array, layout) => {
                    match reader.resolve(array.bind(py), *layout, true)? {
                        Some(Cell::Number(number)) => logs.set_item(name, number)?,
                        _ => logs.set_item(name, array)?,
                    }
                }
                Cell::Other(other) => logs.set_item(name, other)?,
                Cell::Unwanted => logs.set_item(name, py.None())?,
            }
        }
        Ok(logs)
    }
}
