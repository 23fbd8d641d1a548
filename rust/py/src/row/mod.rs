//! The values of a batch, by name.

mod schema;
mod steps;

use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat};

use crate::value::{Cell, Reader};
pub use schema::{Column, Order, Schema};
pub use steps::{StepColumns, StepValues};

/// The values of one batch, as they are pushed to a sink.
pub struct Row<'a> {
    pub schema: &'a Schema,
    /// The names of the step columns.
    pub steps: &'a [String],
    /// How many batches of the call have values in the step columns.
    pub batches: usize,
    pub ordinal: u64,
    pub now: f64,
    /// The values of the metrics in the schema, then those of each step column.
    pub cells: &'a VecDeque<Cell>,
}

/// The part of a row that belongs to one batch of the call.
pub struct Share {
    /// The number of the batch, or its step.
    pub number: i64,
    /// The index of the batch in the call.
    pub place: usize,
    /// Whether the share includes the metrics, which are known only after the last batch.
    pub last: bool,
    /// The text for a metric that the share does not include; None omits the metric.
    pub missing: Option<&'static str>,
}

impl<'a> Row<'a> {
    /// A cache key for the positions of the values. For one sink, the names of the step columns
    /// never change, so their number suffices.
    pub fn layout(&self) -> (u64, usize) {
        (self.schema.id, self.steps.len())
    }

    pub fn cell(&self, at: usize) -> &Cell {
        &self.cells[at]
    }

    /// The values of a step column, in the order of the call's batches; empty if there are none.
    /// A value that could not be read is NaN.
    pub fn step<'r>(&'r self, name: &str) -> impl ExactSizeIterator<Item = f64> + use<'r, 'a> {
        let column = self.steps.iter().position(|step| step == name);
        let batches = column.map_or(0, |_| self.batches);
        let column = column.unwrap_or_default();
        (0..batches).map(move |place| self.step_at(column, place).unwrap_or(f64::NAN))
    }

    /// The value of a step column for one batch of the call; `None` if there is none.
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

    /// The row as a dict. Reads values that are still arrays; an unwanted value is None.
    pub fn logs<'py>(&self, py: Python<'py>, reader: &Reader) -> PyResult<Bound<'py, PyDict>> {
        let logs = PyDict::new(py);
        for (name, cell) in self.schema.names.iter().zip(self.cells) {
            set(&logs, name, cell, reader)?;
        }
        Ok(logs)
    }

    /// The part of the row that belongs to one batch of the call, as a dict.
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
