//! What a compiled callback does with the batches, instead of a Python hook.

mod counter;
mod due;
mod finite;
mod losses;
mod progress;
mod scalars;

pub use counter::Counter;
pub use due::Due;
pub use finite::Finite;
pub use losses::Losses;
pub use progress::Progress;
pub use scalars::Scalars;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::recorder::queue::Row;

/// What a sink wants of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    Nothing,
    /// One value: that of the sink's column.
    Column,
    /// All values, when they are there.
    Row,
    /// That its action is carried out now.
    Act,
    /// That the callback's Python hook is called now.
    Hook,
}

/// What is to be done about a row, if anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    Nothing,
    /// The action is called with the batch and its logs.
    Batch,
    /// The action is called with a step and the logs.
    Step(i64),
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
            Self::Scalars(sink) => sink.borrow_mut(py).wish(batch),
        }
    }

    /// Gives a row to the sink: of a batch of which it wished one, or of another.
    pub fn take(&self, py: Python<'_>, row: &Row<'_>) -> Act {
        match self {
            Self::Counter(_) | Self::Due(_) => Act::Nothing,
            Self::Finite(sink) => sink.borrow_mut(py).take(row),
            Self::Losses(sink) => sink.borrow_mut(py).take(py, row),
            Self::Progress(sink) => sink.borrow_mut(py).take(row),
            Self::Scalars(sink) => Scalars::take(sink.bind(py), row),
        }
    }

    /// The name of the column, if one is all that the sink ever wants.
    pub fn column(&self, py: Python<'_>) -> Option<String> {
        match self {
            Self::Finite(sink) => Some(sink.borrow(py).column.name.clone()),
            Self::Losses(sink) => Some(sink.borrow(py).column.name.clone()),
            _ => None,
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Counter(sink) => visit.call(sink),
            Self::Due(sink) => visit.call(sink),
            Self::Finite(sink) => visit.call(sink),
            Self::Losses(sink) => visit.call(sink),
            Self::Progress(sink) => visit.call(sink),
            Self::Scalars(sink) => visit.call(sink),
        }
    }

    /// Whether a decision depends on the rows.
    pub fn decides(&self) -> bool {
        matches!(self, Self::Finite(_))
    }
}
