//! One value of an array that holds several.

use pyo3::intern;
use pyo3::prelude::*;

/// One value of an array that holds several, read when it is wanted.
///
/// Args:
///     array: An array with one dimension.
///     at: The value's place in it.
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
