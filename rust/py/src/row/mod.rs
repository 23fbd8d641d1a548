//! The values of a batch, by name.

mod schema;
mod steps;

use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat};

use crate::value::{Cell, Reader};
pub use schema::{Column, Order, Schema};
pub use steps::{StepColumns, StepValues};

/// A batch's values, while they are pushed to a sink.
pub struct Row<'a> {
    pub schema: &'a Schema,
    /// The names of the step columns.
    pub steps: &'a [String],
    /// Of how many batches of the call the step columns are known.
    pub batches: usize,
    pub ordinal: u64,
    pub now: f64,
    /// The values of the schema, then those of each step column.
    pub cells: &'a VecDeque<Cell>,
}

/// What one of a call's batches has of its row.
pub struct Share {
    /// The batch's number, or its step.
    pub number: i64,
    /// Its place among the batches of the call.
    pub place: usize,
    /// Whether it has the metrics too, which are known after the last batch of a call.
    pub last: bool,
    /// What stands for a metric that it has not; None leaves it out.
    pub missing: Option<&'static str>,
}

impl<'a> Row<'a> {
    /// What the places of its values depend on, for a sink: it has the same step columns in all
    /// rows, or none.
    pub fn layout(&self) -> (u64, usize) {
        (self.schema.id, self.steps.len())
    }

    pub fn cell(&self, at: usize) -> &Cell {
        &self.cells[at]
    }

    /// The values of a step column, in the order of the call's batches; none where they are not
    /// known. NaN stands for a value that could not be read.
    pub fn step<'r>(&'r self, name: &str) -> impl ExactSizeIterator<Item = f64> + use<'r, 'a> {
        let column = self.steps.iter().position(|step| step == name);
        let batches = column.map_or(0, |_| self.batches);
        let column = column.unwrap_or_default();
        (0..batches).map(move |place| self.step_at(column, place).unwrap_or(f64::NAN))
    }

    /// The value of a step column for one of the call's batches; None where it is not known.
    pub fn step_at(&self, column: usize, place: usize) -> Option<f64> {
        if place >= self.batches {
            return None;
        }
        match self.cells[self.schema.len() + column * self.batches + place] {
            Cell::Number(number) => Some(number),
            _ => Some(f64::NAN),
        }
    }

    /// Whether all metrics are numbers.
    pub fn is_numeric(&self) -> bool {
        (0..self.schema.len()).all(|at| matches!(self.cells[at], Cell::Number(_)))
    }

    /// The row as a dict; what was not read is read now, and what nothing wanted is None.
    pub fn logs<'py>(&self, py: Python<'py>, reader: &Reader) -> PyResult<Bound<'py, PyDict>> {
        let logs = PyDict::new(py);
        for (name, cell) in self.schema.names.iter().zip(self.cells) {
            set(&logs, name, cell, reader)?;
        }
        Ok(logs)
    }

    /// What one of the call's batches has of it.
    pub fn share<'py>(
        &self,
        py: Python<'py>,
        reader: &Reader,
        share: &Share,
    ) -> PyResult<Bound<'py, PyDict>> {
        let logs = PyDict::new(py);
        let names = self.schema.names.iter().zip(self.schema.texts());
        for ((name, text), cell) in names.zip(self.cells) {
            let column = self
                .steps
                .iter()
                .position(|step| Some(step.as_str()) == text);
            let own = column.and_then(|column| self.step_at(column, share.place));
            match (own, share.missing) {
                (Some(value), _) => logs.set_item(name, value)?,
                (None, _) if share.last => set(&logs, name, cell, reader)?,
                (None, Some(missing)) => logs.set_item(name, missing)?,
                (None, None) => {}
            }
        }
        Ok(logs)
    }
}

fn set(logs: &Bound<'_, PyDict>, name: &Py<PyAny>, cell: &Cell, reader: &Reader) -> PyResult<()> {
    let py = logs.py();
    match cell {
        Cell::Number(number) => logs.set_item(name, PyFloat::new(py, *number)),
        Cell::Array(array, layout) => match reader.resolve(array.bind(py), *layout, true)? {
            Some(Cell::Number(number)) => logs.set_item(name, number),
            _ => logs.set_item(name, array),
        },
        Cell::Other(other) => logs.set_item(name, other),
        Cell::Unwanted => logs.set_item(name, py.None()),
    }
}
