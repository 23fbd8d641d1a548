//! An action every so many batches, or when it is asked for.

use pyo3::prelude::*;

use super::BatchCount;
use crate::sink::{Batch, Gate, Sink};

/// Calls the action when a multiple of `every` batches is reached, or when it is asked for.
///
/// Args:
///     count: Counts the batches; its entry must come before this one.
///     every: Batches between two actions; None for none.
#[pyclass(module = "fitwatch._core")]
pub struct Every {
    count: Py<BatchCount>,
    batches: Option<u64>,
    /// Whether to call the action after the next batch in any case.
    #[pyo3(get, set)]
    asked: bool,
}

#[pymethods]
impl Every {
    #[new]
    #[pyo3(signature = (count, every=None))]
    fn new(count: Py<BatchCount>, every: Option<u64>) -> Self {
        Self {
            count,
            batches: every,
            asked: false,
        }
    }
}

impl Sink for Py<Every> {
    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        let py = batch.number.py();
        let mut this = self.borrow_mut(py);
        let asked = std::mem::take(&mut this.asked);
        let count = this.count.borrow(py);
        if asked || this.batches.is_some_and(|every| count.0.passed(every)) {
            Gate::Act
        } else {
            Gate::Shut
        }
    }
}
