//! What a compiled callback does with the batches, instead of a Python hook.

mod counter;
mod due;
mod finite;
mod interval;
mod losses;
mod progress;
mod rows;
mod scalars;
mod watch;

pub use counter::Counter;
pub use due::Due;
pub use finite::Finite;
pub use interval::Interval;
pub use losses::Losses;
pub use progress::Progress;
pub use rows::Rows;
pub use scalars::Scalars;
pub use watch::Watch;

use std::collections::VecDeque;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::error::Error;
use crate::row::{Column, Row};
use crate::sink::{Act, Batch, Decides, Wish};

/// A sink, as a Python object that the callback may look into as well.
pub enum Sink {
    Counter(Py<Counter>),
    Due(Py<Due>),
    Finite(Py<Finite>),
    Interval(Py<Interval>),
    Losses(Py<Losses>),
    Progress(Py<Progress>),
    Rows(Py<Rows>),
    Scalars(Py<Scalars>),
    Watch(Py<Watch>),
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
        } else if let Ok(sink) = value.cast::<Interval>() {
            Ok(Self::Interval(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Losses>() {
            Ok(Self::Losses(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Progress>() {
            Ok(Self::Progress(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Rows>() {
            Ok(Self::Rows(sink.to_owned().unbind()))
        } else if let Ok(sink) = value.cast::<Watch>() {
            Ok(Self::Watch(sink.to_owned().unbind()))
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
            Self::Interval(sink) => sink.borrow_mut(py).wish(batch),
            Self::Finite(_) | Self::Losses(_) => Wish::Column,
            Self::Progress(sink) => sink.borrow_mut(py).wish(batch),
            Self::Rows(sink) => Rows::wish(sink.bind(py), batch),
            Self::Scalars(sink) => Scalars::wish(sink.bind(py), batch),
            Self::Watch(sink) => sink.borrow_mut(py).wish(batch),
        }
    }

    /// Gives a row to the sink: of a batch of which it wished one, or of another.
    pub fn take(&self, py: Python<'_>, row: &Row<'_>) -> Act {
        match self {
            Self::Counter(_) | Self::Due(_) | Self::Interval(_) => Act::Nothing,
            Self::Finite(sink) => sink.borrow_mut(py).take(row),
            Self::Losses(sink) => sink.borrow_mut(py).take(py, row),
            Self::Progress(sink) => sink.borrow_mut(py).take(py, row),
            Self::Rows(sink) => Rows::take(sink.bind(py), row),
            Self::Scalars(sink) => Scalars::take(sink.bind(py), row),
            Self::Watch(sink) => Watch::take(sink.bind(py), row),
        }
    }

    /// The names of the columns, where the sink never wants more than some values.
    pub fn columns(&self, py: Python<'_>) -> Vec<String> {
        let names = |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect();
        match self {
            Self::Finite(sink) => names(&sink.borrow(py).columns),
            Self::Losses(sink) => names(std::slice::from_ref(&sink.borrow(py).column)),
            Self::Watch(sink) => names(&sink.borrow(py).columns),
            _ => Vec::new(),
        }
    }

    /// Where the losses of a call's batches are found, if the sink wants them. They take the place
    /// of its column `loss`.
    pub fn losses(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let of = |losses: &Option<Py<PyAny>>| losses.as_ref().map(|losses| losses.clone_ref(py));
        match self {
            Self::Losses(sink) => of(&sink.borrow(py).source),
            Self::Rows(sink) => of(&sink.borrow(py).losses),
            Self::Scalars(sink) => of(&sink.borrow(py).losses),
            Self::Watch(sink) => of(&sink.borrow(py).losses),
            _ => None,
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
            Self::Interval(sink) => visit.call(sink),
            Self::Losses(sink) => visit.call(sink),
            Self::Progress(sink) => visit.call(sink),
            Self::Rows(sink) => visit.call(sink),
            Self::Scalars(sink) => visit.call(sink),
            Self::Watch(sink) => visit.call(sink),
        }
    }

    /// How many batches a row stands for, as far as the sink knows.
    pub fn steps(&self, py: Python<'_>) -> usize {
        match self {
            Self::Watch(sink) => usize::try_from(sink.borrow(py).steps).unwrap_or(1),
            _ => 1,
        }
    }

    /// What depends on the rows.
    pub fn decides(&self, py: Python<'_>) -> Decides {
        match self {
            Self::Watch(sink) if sink.borrow(py).decides_nothing() => Decides::Nothing,
            Self::Watch(sink) if sink.borrow(py).prompt => Decides::AtOnce,
            Self::Watch(_) | Self::Finite(_) => Decides::InTime,
            _ => Decides::Nothing,
        }
    }
}

/// How many losses the last call has left; 0 where nobody takes them.
fn count_losses(py: Python<'_>, losses: Option<&Py<PyAny>>) -> i64 {
    let count = losses.map(|losses| {
        let values = losses.bind(py).getattr(intern!(py, "values"))?;
        values.len()
    });
    match count {
        Some(Ok(count)) => i64::try_from(count).unwrap_or(0),
        _ => 0,
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
