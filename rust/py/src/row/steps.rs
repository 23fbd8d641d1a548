//! Columns that leave the train step for every batch.

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

/// Named columns that the train step has for every batch, beside what is in the logs.
///
/// A call of the train function may train several batches, and a column then has a value for each.
///
/// Args:
///     names: The names of the columns.
///     source: What has the values: its `values` are what the last call has left, for each name a
///         sequence with the values of the call's batches, in order. They are empty where the
///         values could not be taken.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct StepColumns {
    #[pyo3(get)]
    pub names: Vec<String>,
    source: Py<PyAny>,
}

/// The values of a call's batches: those of the first column, then those of the second, and so on.
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
    /// What the last call has left.
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
