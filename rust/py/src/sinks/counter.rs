//! A number of batches.

use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::sink::Wish;

/// Counts batches.
#[pyclass(module = "fitwatch._core")]
pub struct Counter {
    /// Batches so far.
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

    /// For `copy` and `pickle`: class, arguments.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (i64,)) {
        (slf.get_type(), (slf.borrow().count,))
    }
}

impl Counter {
    pub fn wish(&mut self) -> Wish {
        self.count += 1;
        Wish::Nothing
    }
}
