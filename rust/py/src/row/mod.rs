//! The values of a batch, by name.

mod schema;
mod step_layout;
mod steps;
mod tape;

use std::collections::VecDeque;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat};

use crate::value::{Cell, Item, Reader};
pub use schema::{Column, Order, Schema};
pub use step_layout::StepLayout;
pub use steps::{StepColumns, StepValues};
pub use tape::Tape;

/// The values of one batch, as they are pushed to a sink.
pub struct Row<'a> {
    pub schema: &'a Schema,
    pub steps: Steps<'a>,
    pub ordinal: u64,
    pub now: f64,
    /// The values of the metrics in the schema, then those of the step columns, batch by batch.
    pub cells: &'a VecDeque<Cell>,
}

/// The step columns that a sink takes.
#[derive(Clone, Copy)]
pub struct Steps<'a> {
    layout: &'a StepLayout,
    mask: u8,
    /// How many batches of the call have values in them; 0 if the sink takes none.
    pub batches: usize,
}

impl<'a> Steps<'a> {
    pub fn new(layout: &'a StepLayout, mask: u8, batches: usize) -> Self {
        let any = layout.taken(mask).next().is_some();
        Self {
            layout,
            mask,
            batches: if any { batches } else { 0 },
        }
    }

    /// The index of a column, if there are values of it.
    pub fn position(&self, name: &str) -> Option<usize> {
        if self.batches == 0 {
            return None;
        }
        self.layout.position(name, self.mask)
    }
}

/// Where a value of a row comes from.
#[derive(Clone, Copy)]
pub enum Source {
    /// A metric of the logs, by its position in the schema.
    Metric(usize),
    /// A step column, by its index.
    Step(usize),
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

impl Row<'_> {
    /// A cache key for the positions of the values.
    pub fn layout(&self) -> (u64, u64) {
        let steps = if self.steps.batches > 0 {
            self.steps.layout.id
        } else {
            0
        };
        (self.schema.id, steps)
    }

    /// How many batches of the call have values in the step columns that the sink takes.
    pub fn batches(&self) -> usize {
        self.steps.batches
    }

    pub fn cell(&self, at: usize) -> &Cell {
        &self.cells[at]
    }

    /// The step columns that are not metrics of the logs: their indices and names.
    pub fn additional(&self) -> impl Iterator<Item = (usize, &str)> {
        let taken = self.steps.layout.taken(self.steps.mask);
        let any = self.steps.batches > 0;
        taken.filter(move |(_, name)| any && self.schema.position(name).is_none())
    }

    /// The value of a step column for one batch of the call; `None` if it has none. A value that
    /// could not be read is NaN.
    pub fn step_at(&self, column: usize, place: usize) -> Option<f64> {
        if place >= self.steps.batches {
            return None;
        }
        let width = self.steps.layout.len();
        match self.cells[self.schema.len() + place * width + column] {
            Cell::Number(number) if number < 0.0 && self.steps.layout.skips(column) => None,
            Cell::Number(number) => Some(number),
            Cell::Unwanted => None,
            _ => Some(f64::NAN),
        }
    }

    /// Where the values of a metric are: in the step column of its name, or else in the logs. `None`
    /// if they are in neither, or not a number.
    pub fn source(&self, column: &mut Column) -> Option<Source> {
        if let Some(step) = self.steps.position(&column.name) {
            return Some(Source::Step(step));
        }
        let at = column.position(self.schema)?;
        matches!(self.cell(at), Cell::Number(_)).then_some(Source::Metric(at))
    }

    /// A value for one batch of the call. One of the logs belongs to the last batch.
    pub fn value(&self, source: Source, place: usize) -> Option<f64> {
        match source {
            Source::Step(at) => self.step_at(at, place),
            Source::Metric(at) => match self.cell(at) {
                Cell::Number(value) if place + 1 >= self.batches() => Some(*value),
                _ => None,
            },
        }
    }

    /// The values of a metric in the batches of the call: its step column, or else one value from
    /// the logs, after the last batch; empty if there is neither.
    pub fn values(&self, column: &mut Column) -> Vec<Option<f64>> {
        match self.source(column) {
            Some(Source::Step(at)) => (0..self.batches())
                .map(|place| self.step_at(at, place))
                .collect(),
            Some(Source::Metric(at)) => match self.cell(at) {
                Cell::Number(value) => vec![Some(*value)],
                _ => Vec::new(),
            },
            None => Vec::new(),
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
            let column = text.and_then(|text| self.steps.position(text));
            let own = column.and_then(|column| self.step_at(column, share.place));
            match (own, share.missing) {
                (Some(value), _) => logs.set_item(name, value)?,
                (None, _) if share.last && column.is_none() => set(&logs, name, cell, reader)?,
                (None, Some(missing)) => logs.set_item(name, missing)?,
                (None, None) => {}
            }
        }
        for (at, name) in self.additional() {
            match (self.step_at(at, share.place), share.missing) {
                (Some(value), _) => logs.set_item(name, value)?,
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
        Cell::Slot(slot) => logs.set_item(name, Bound::new(py, Item(slot.clone()))?),
        Cell::Other(other) => logs.set_item(name, other),
        Cell::Unwanted => logs.set_item(name, py.None()),
    }
}
