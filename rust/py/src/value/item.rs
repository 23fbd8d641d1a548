//! One element of an array.

use pyo3::intern;
use pyo3::prelude::*;

/// One element of an array, read when it is needed.
///
/// Args:
///     array: A one-dimensional array.
///     at: The index of the element.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Item {
    pub array: Py<PyAny>,
    pub at: usize,
}

#[pymethods]
impl Item {
    #[new]
    fn new(array: Py<PyAny>, at: usize) -> Self {
        Self { array, at }
    }

    fn __float__(&self, py: Python<'_>) -> PyResult<f64> {
        let numpy = self.array.bind(py).call_method0(intern!(py, "__array__"))?;
        numpy.get_item(self.at)?.extract()
    }
}
