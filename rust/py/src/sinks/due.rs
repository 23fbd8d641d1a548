//! An action after every so many batches.

use pyo3::prelude::*;

use super::{Batch, Wish};
use crate::checkpoint::Checkpoint;

/// Asks for an action when a checkpoint's policy says that it is due.
///
/// Args:
///     policy: The policy.
///     every: Batches between two actions.
///     first: Whether to leave the first batch to the callback's Python hook.
#[pyclass(module = "fitwatch._core")]
pub struct Due {
    policy: Py<Checkpoint>,
    every: u64,
    first: bool,
}

#[pymethods]
impl Due {
    #[new]
    fn new(policy: Py<Checkpoint>, every: u64, first: bool) -> Self {
        Self {
            policy,
            every,
            first,
        }
    }
}

impl Due {
    pub fn wish(&mut self, batch: &Batch<'_, '_>) -> Wish {
        if std::mem::take(&mut self.first) {
            return Wish::Hook;
        }
        let Ok(number) = batch.number.extract() else {
            return Wish::Hook;
        };
        let mut policy = self.policy.borrow_mut(batch.number.py());
        if policy.0.due(number, self.every) {
            Wish::Act
        } else {
            Wish::Nothing
        }
    }
}
