//! What a compiled callback does with the batches, instead of a Python hook.

mod counter;
mod due;
mod finite;
mod losses;
mod progress;
mod rows;
mod scalars;

pub use counter::Counter;
pub use due::Due;
pub use finite::Finite;
pub use losses::Losses;
pub use progress::Progress;
pub use rows::Rows;
pub use scalars::Scalars;

use std::collections::VecDeque;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::error::Error;
use crate::recorder::queue::Row;

/// What a sink wants of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    Nothing,
    /// The values of the sink's columns.
    Column,
    /// All values, when they are there.
    Row,
    /// That its action is carried out now.
    Act,
    /// That the callback's Python hook is called now.
    Hook,
}

/// What is to be done about a row, if anything.
pub enum Act {
    Nothing,
    /// The action is called with the batch and its logs.
    Batch,
    /// The action is called with a step and the logs.
    Step(i64),
    /// The function is called with the text.
    Print(Py<PyAny>, String),
}

/// The batch that has just ended.
pub struct Batch<'a, 'py> {
    pub number: &'a Bound<'py, PyAny>,
    /// Unique and growing.
    pub ordinal: u64,
    /// Seconds since 1970, estimated.
    pub now: f64,
}

/// A sink, as a Python object that the callback may look into as well.
pub enum Sink {
    Counter(Py<Counter>),
    Due(Py<Due>),
    Finite(Py<Finite>),
    Losses(Py<Losses>),
    Progress(Py<Progress>),
    Rows(Py<Rows>),
    Scalars(Py<Scalars>),
}

impl<'py> FromPyObject<'_, 'py> for Sink {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(sink) = value.cast::<Counter>() {
            Ok(Self::Counter(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Due>() {
            Ok(Self::Due(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Finite>() {
            Ok(Self::Finite(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Losses>() {
            Ok(Self::Losses(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Progress>() {
            Ok(Self::Progress(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Rows>() {
            Ok(Self::Rows(sink.to_owned().unbind()))
        } else {
            Ok(Self::Scalars(value.cast::<Scalars>()?.to_owned().unbind()))
        }
    }
}

impl Sink {
    /// Shows a batch to the sink.
    pub fn wish(&self, batch: &Batch<'_, '_>) -> Wish {
        let py = batch.number.py();
        match self {
            Self::Counter(sink) => sink.borrow_mut(py).wish(),
            Self::Due(sink) => Due::wish(sink.bind(py), batch),
            Self::Finite(_) | Self::Losses(_) => Wish::Column,
            Self::Progress(sink) => sink.borrow_mut(py).wish(batch),
            Self::Rows(sink) => sink.borrow_mut(py).wish(batch),
            Self::Scalars(sink) => sink.borrow_mut(py).wish(batch),
        }
    }

    /// Gives a row to the sink: of a batch of which it wished one, or of another.
    pub fn take(&self, py: Python<'_>, row: &Row<'_>) -> Act {
        match self {
            Self::Counter(_) | Self::Due(_) => Act::Nothing,
            Self::Finite(sink) => sink.borrow_mut(py).take(row),
            Self::Losses(sink) => sink.borrow_mut(py).take(py, row),
            Self::Progress(sink) => sink.borrow_mut(py).take(py, row),
            Self::Rows(sink) => Rows::take(sink.bind(py), row),
            Self::Scalars(sink) => Scalars::take(sink.bind(py), row),
        }
    }

    /// The names of the columns, where the sink never wants more than some values.
    pub fn columns(&self, py: Python<'_>) -> Vec<String> {
        match self {
            Self::Finite(sink) => {
                let sink = sink.borrow(py);
                sink.columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect()
            }
            Self::Losses(sink) => vec![sink.borrow(py).column.name.clone()],
            _ => Vec::new(),
        }
    }

    /// Whether the sink may want all values of a batch.
    pub fn wants_rows(&self) -> bool {
        matches!(self, Self::Progress(_) | Self::Rows(_) | Self::Scalars(_))
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Counter(sink) => visit.call(sink),
            Self::Due(sink) => visit.call(sink),
            Self::Finite(sink) => visit.call(sink),
            Self::Losses(sink) => visit.call(sink),
            Self::Progress(sink) => visit.call(sink),
            Self::Rows(sink) => visit.call(sink),
            Self::Scalars(sink) => visit.call(sink),
        }
    }

    /// Whether a decision depends on the rows.
    pub fn decides(&self) -> bool {
        matches!(self, Self::Finite(_))
    }
}

/// What was kept of a batch whose row was wished; None for a row that was not.
fn wished<T: Copy>(queue: &mut VecDeque<(u64, T)>, ordinal: u64) -> Option<T> {
    // Batches that no row came of.
    while queue.front().is_some_and(|(first, _)| *first < ordinal) {
        queue.pop_front();
    }
    match queue.front() {
        Some(&(first, kept)) if first == ordinal => {
            queue.pop_front();
            Some(kept)
        }
        _ => None,
    }
}

/// Tells a callback that its file cannot be written, which must not end the training.
fn tell_failure(py: Python<'_>, failed: Option<&Py<PyAny>>, error: Error) {
    let told = failed.map(|failed| failed.call1(py, (PyErr::from(error).into_value(py),)));
    if let Some(Err(error)) = told {
        error.write_unraisable(py, None);
    }
}
