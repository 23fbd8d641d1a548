//! The rows that a train step returns, batch after batch.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::StepColumns;
use crate::value::{Access, Block, Form, Item, Slot};

/// Takes the arrays that a train step returns in the place of its logs.
///
/// The step carries a shift register: an array of rows to which each batch adds one at the end,
/// while the first one leaves. A row has the values of the step columns, then those of the logs.
/// The array of every batch therefore has the values of the batches before it, and one of many is
/// read.
///
/// Args:
///     count: How many step columns a row has.
///     logs: The names of the logs.
///     rows: How many rows an array has.
///     access: How arrays are read: see `Access`.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Tape {
    count: usize,
    logs: Vec<Py<PyString>>,
    form: Arc<Form>,
    block: Mutex<Option<Arc<Block>>>,
}

#[pymethods]
impl Tape {
    #[new]
    fn new(count: usize, logs: Vec<Py<PyString>>, rows: usize, access: &str) -> PyResult<Self> {
        let form = Form::new(rows, count + logs.len(), Access::parse(access)?);
        Ok(Self {
            count,
            logs,
            form,
            block: Mutex::default(),
        })
    }

    /// Takes the array of a batch: fills the columns, and returns the logs, which are read later.
    ///
    /// Args:
    ///     columns: The step columns.
    ///     array: The array.
    ///     first: Whether a call of the train function has begun with this batch.
    #[pyo3(signature = (columns, array, first=false))]
    fn push<'py>(
        &self,
        columns: &Bound<'py, StepColumns>,
        array: Py<PyAny>,
        first: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (py, columns) = (columns.py(), columns.get());
        if first {
            columns.begin();
        }
        let block = self.open();
        let row = block.add(array);
        if row + 1 >= columns.interval().min(self.form.rows) {
            self.close(py)?;
        }
        columns.push_slots((0..self.count).map(|at| Slot::new(&block, row, at)))?;
        let logs = PyDict::new(py);
        for (name, at) in self.logs.iter().zip(self.count..) {
            logs.set_item(name, Item(Slot::new(&block, row, at)))?;
        }
        Ok(logs)
    }

    /// Closes the block: the next array may not have the rows of those before it.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let block = self.lock().take();
        block.map_or(Ok(()), |block| block.close(py))
    }
}

impl Tape {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Block>>> {
        self.block.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Arc<Block> {
        let new = || Block::new(&self.form);
        self.lock().get_or_insert_with(new).clone()
    }
}
