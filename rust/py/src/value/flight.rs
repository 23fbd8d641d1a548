//! Transfers of values from an accelerator.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// A running transfer of the values of many arrays on an accelerator.
pub struct Flight {
    handle: Py<PyAny>,
    /// How many arrays are being transferred.
    pub arrays: usize,
}

impl Flight {
    pub fn start(transfer: &Bound<'_, PyAny>, arrays: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let py = transfer.py();
        let count = arrays.len();
        let handle = transfer.call_method1(intern!(py, "start"), (PyList::new(py, arrays)?,))?;
        Ok(Self {
            handle: handle.unbind(),
            arrays: count,
        })
    }

    pub fn ready(&self, transfer: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = transfer.py();
        transfer
            .call_method1(intern!(py, "ready"), (&self.handle,))?
            .is_truthy()
    }

    pub fn finish(self, transfer: &Bound<'_, PyAny>) -> PyResult<Vec<Option<f64>>> {
        let py = transfer.py();
        transfer
            .call_method1(intern!(py, "finish"), (self.handle,))?
            .extract()
    }
}
