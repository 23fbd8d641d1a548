//! Step columns: values that the train step returns for every batch.

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

/// Named columns of values that the train step returns for every batch, besides the logs.
///
/// If a call of the train function trains several batches, a column has a value for each.
///
/// Args:
///     names: The names of the columns.
///     source: An object whose attribute `values` has, for each name, a sequence of the values of
///         the last call's batches, in order. It is empty if the values are not available.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct StepColumns {
    #[pyo3(get)]
    pub names: Vec<String>,
    source: Py<PyAny>,
}

/// The values of a call's batches, column by column.
#[derive(Default)]
pub struct StepValues<'py> {
    pub batches: usize,
    pub values: Vec<Bound<'py, PyAny>>,
}

#[pymethods]
impl StepColumns {
    #[new]
    fn new(names: Vec<String>, source: Py<PyAny>) -> Self {
        Self { names, source }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.source)
    }
}

impl StepColumns {
    /// Reads the values of the last call.
    pub fn read<'py>(&self, py: Python<'py>) -> PyResult<StepValues<'py>> {
        let mut read = StepValues::default();
        let columns = self.source.bind(py).getattr(intern!(py, "values"))?;
        for (at, column) in columns.try_iter()?.enumerate() {
            let column = column?;
            read.batches = column.len()?;
            for value in column.try_iter()? {
                read.values.push(value?);
            }
            if read.values.len() != (at + 1) * read.batches {
                return Err(PyValueError::new_err("step columns must be equally long"));
            }
        }
        if read.values.len() != self.names.len() * read.batches {
            return Err(PyValueError::new_err("a step column has no values"));
        }
        Ok(read)
    }
}
