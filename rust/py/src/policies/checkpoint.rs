//! The policy of `ModelCheckpoint`.

use fitwatch_core::policies as core;
use pyo3::prelude::*;

use super::best::best_methods;
use super::copying::copying_methods;

/// Decides when to save a checkpoint.
#[pyclass(module = "fitwatch._core")]
pub struct Checkpoint(pub core::Checkpoint);

best_methods!(Checkpoint, best);
copying_methods!(Checkpoint);

#[pymethods]
impl Checkpoint {
    #[new]
    fn new() -> Self {
        Self(core::Checkpoint::default())
    }

    #[getter]
    fn batches_since(&self) -> u64 {
        self.0.batches_since
    }

    #[setter]
    fn set_batches_since(&mut self, batches: u64) {
        self.0.batches_since = batches;
    }

    #[getter]
    fn last_batch(&self) -> Option<u64> {
        self.0.last_batch
    }

    #[setter]
    fn set_last_batch(&mut self, batch: Option<u64>) {
        self.0.last_batch = batch;
    }

    /// Whether a save is due after `batch`, if one is due every `every` batches.
    fn due(&mut self, batch: u64, every: u64) -> bool {
        self.0.due(batch, every)
    }
}
