//! A value of a block, as logs have it.

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;

use super::block::Slot;
use super::cell::Cell;
use super::wait_time::timed_wait;

/// A value in an array with others, read when it is needed.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Item(pub Slot);

impl Item {
    /// Reads a value; `None` if it is not ready and `wait` is false. One that cannot be read is kept
    /// as an item. Passes interrupts on.
    pub fn resolve(slot: &Slot, py: Python<'_>, wait: bool) -> PyResult<Option<Cell>> {
        match slot.read(py, wait) {
            Ok(read) => Ok(read.map(Cell::Number)),
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let item = Bound::new(py, Self(slot.clone()))?;
                Ok(Some(Cell::Other(item.into_any().unbind())))
            }
            Err(error) => Err(error),
        }
    }
}

#[pymethods]
impl Item {
    fn __float__(&self, py: Python<'_>) -> PyResult<f64> {
        timed_wait(|| self.0.read(py, true))?
            .ok_or_else(|| PyRuntimeError::new_err("the value of a batch is gone"))
    }
}
