//! The number of batches, across epochs.

use fitwatch_core::policies as core;
use pyo3::prelude::*;

use crate::sink::{Batch, Gate, Sink};

/// Counts batches across epochs.
#[pyclass(module = "fitwatch._core")]
pub struct BatchCount(pub core::BatchCount);

#[pymethods]
impl BatchCount {
    #[new]
    fn new() -> Self {
        Self(core::BatchCount::default())
    }

    /// Batches so far.
    #[getter]
    fn seen(&self) -> u64 {
        self.0.seen()
    }

    #[setter]
    fn set_seen(&mut self, batches: u64) {
        self.0 = core::BatchCount {
            before: batches,
            ..core::BatchCount::default()
        };
    }

    /// Batches of this epoch.
    #[getter]
    fn inside(&self) -> u64 {
        self.0.inside
    }

    /// Batches in an epoch; None if that is not known.
    #[getter]
    fn length(&self) -> Option<u64> {
        self.0.length
    }

    /// Begins an epoch of `length` batches, None if not known. `trained` of them are counted.
    #[pyo3(signature = (length, trained=0))]
    fn begin_epoch(&mut self, length: Option<u64>, trained: u64) {
        self.0.begin_epoch(length, trained);
    }
}

impl Sink for Py<BatchCount> {
    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        if let Ok(number) = batch.number.extract() {
            self.borrow_mut(batch.number.py()).0.end(number);
        }
        Gate::Shut
    }
}
