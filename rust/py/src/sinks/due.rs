//! An action every `save_freq` batches.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::policies::Checkpoint;
use crate::sink::{Batch, Gate, Sink};

/// Calls the action when a checkpoint policy says that a save is due.
///
/// Args:
///     policy: The checkpoint policy.
///     callback: The callback. Its `save_freq` is read at every batch; if it is not an integer, the
///         callback's Python hook is called instead.
///     first: Whether to call the Python hook for the first batch too.
#[pyclass(module = "fitwatch._core")]
pub struct Due {
    policy: Py<Checkpoint>,
    callback: Option<Py<PyAny>>,
    first: bool,
}

#[pymethods]
impl Due {
    #[new]
    fn new(policy: Py<Checkpoint>, callback: Py<PyAny>, first: bool) -> Self {
        Self {
            policy,
            callback: Some(callback),
            first,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.callback)
    }

    fn __clear__(&mut self) {
        self.callback = None;
    }
}

impl Sink for Py<Due> {
    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        let py = batch.number.py();
        if std::mem::take(&mut self.borrow_mut(py).first) {
            return Gate::Hook;
        }
        let callback = self.borrow(py).callback.as_ref().map(|it| it.clone_ref(py));
        let every = callback.map(|callback| {
            let freq = callback.bind(py).getattr(intern!(py, "save_freq"))?;
            freq.extract::<u64>()
        });
        let (Some(Ok(every)), Ok(number)) = (every, batch.number.extract()) else {
            return Gate::Hook;
        };
        if self.borrow(py).policy.borrow_mut(py).0.due(number, every) {
            Gate::Act
        } else {
            Gate::Shut
        }
    }
}
