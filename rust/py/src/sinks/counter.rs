//! A counter of batches.

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::sink::{Batch, Gate, Sink};

/// Counts batches.
#[pyclass(module = "fitwatch._core")]
pub struct Counter {
    /// The number of batches so far.
    #[pyo3(get, set)]
    pub count: i64,
}

#[pymethods]
impl Counter {
    #[new]
    #[pyo3(signature = (count=0))]
    fn new(count: i64) -> Self {
        Self { count }
    }

    /// Supports `copy` and `pickle`: class, arguments.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (i64,)) {
        (slf.get_type(), (slf.borrow().count,))
    }
}

impl Sink for Py<Counter> {
    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        self.borrow_mut(batch.number.py()).count += 1;
        Gate::Shut
    }
}
