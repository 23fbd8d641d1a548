//! The common entry point to a sink, for compiled lists and for Python hooks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::clock::now;
use crate::row::{Row, Schema, StepColumns, StepValues};
use crate::sink::{Batch, Gate, Sink, Wants, next_ordinal};
use crate::value::wait_time::timed_wait;
use crate::value::{Cell, Item, Reader};

/// A sink, and the step columns that it needs.
///
/// Args:
///     sink: The sink.
///     steps: The step columns; None for none.
///     mask: The kinds of step columns that the sink takes, as bits. They replace the metrics of the
///         same names.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Feed {
    /// The Python object of the sink.
    object: Py<PyAny>,
    pub sink: Box<dyn Sink>,
    pub steps: Option<Py<StepColumns>>,
    pub mask: u8,
    pub wants: Wants,
    /// The names in the logs that were pushed last.
    schema: Mutex<Option<Arc<Schema>>>,
}

#[pymethods]
impl Feed {
    #[new]
    #[pyo3(signature = (sink, steps=None, mask=0))]
    pub fn new(
        sink: &Bound<'_, PyAny>,
        steps: Option<Py<StepColumns>>,
        mask: u8,
    ) -> PyResult<Self> {
        let (py, object) = (sink.py(), sink.clone().unbind());
        let sink = super::sink_of(sink)?;
        let wants = sink.wants(py);
        Ok(Self {
            object,
            sink,
            mask: if steps.is_some() { mask } else { 0 },
            steps,
            wants,
            schema: Mutex::default(),
        })
    }

    /// Pushes a batch that has just ended, for a Python hook: like a compiled list, but without
    /// a queue.
    ///
    /// Args:
    ///     batch: The number of the batch.
    ///     logs: The logs of the batch.
    ///     action: The function to call when the sink asks for its action.
    ///     reader: The reader of the backend's values.
    ///
    /// Returns:
    ///     Whether the sink took the batch.
    ///
    /// Raises:
    ///     `TypeError`: `batch` is not an integer.
    fn push(
        &self,
        batch: &Bound<'_, PyAny>,
        logs: &Bound<'_, PyAny>,
        action: &Bound<'_, PyAny>,
        reader: &Bound<'_, Reader>,
    ) -> PyResult<bool> {
        let (py, reader) = (batch.py(), reader.get());
        let logs = &as_dict(logs)?;
        let steps = match &self.steps {
            Some(steps) => steps.get().read(py)?,
            None => StepValues::none(),
        };
        let taken = steps.taken(self.mask);
        let ordinal = next_ordinal();
        let now = if self.wants.clock { now() } else { 0.0 };
        match self.sink.gate(&Batch {
            number: batch,
            ordinal,
            now,
            clock_read: true,
            batches: taken.batches,
        }) {
            Gate::Open => {}
            Gate::Shut => return Ok(false),
            Gate::Act => {
                action.call1((batch, logs))?;
                return Ok(true);
            }
            Gate::Hook => {
                let message = format!("batch must be a whole number; got {}.", batch.repr()?);
                return Err(PyTypeError::new_err(message));
            }
        }
        let schema = self.schema_of(logs);
        let cells = timed_wait(|| self.cells(logs, &schema, &steps, reader))?;
        let row = Row {
            schema: &schema,
            steps: taken,
            ordinal,
            now,
            cells: &cells,
        };
        while self
            .sink
            .push(py, &row)
            .carry_out(action, batch, &row, reader)?
        {}
        Ok(true)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.steps)?;
        visit.call(&self.object)?;
        visit.call(&self.object) // again, for the reference that `sink` holds
    }
}

impl Feed {
    fn schema_of(&self, logs: &Bound<'_, PyDict>) -> Arc<Schema> {
        let lock = || self.schema.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        if let Some(schema) = known.filter(|schema| schema.is_of(logs)) {
            return schema;
        }
        let schema = Schema::new(logs.keys().iter().collect());
        let old = lock().replace(schema.clone());
        drop(old); // without the lock: dropping Python objects may run Python code
        schema
    }

    /// Reads the values that the sink needs, and those of the step columns.
    fn cells(
        &self,
        logs: &Bound<'_, PyDict>,
        schema: &Schema,
        steps: &StepValues,
        reader: &Reader,
    ) -> PyResult<VecDeque<Cell>> {
        let taken = steps.taken(self.mask);
        let mut cells = Vec::with_capacity(logs.len() + steps.batches * steps.layout.len());
        if self.wants.rows {
            for value in logs.values() {
                cells.push(reader.read_now(&value)?);
            }
        } else {
            cells.resize_with(logs.len(), || Cell::Unwanted);
            let replaced = |name: &String| taken.position(name).is_some();
            for name in self.wants.columns.iter().filter(|&name| !replaced(name)) {
                if let Some(at) = schema.position(name)
                    && let Some(value) = logs.get_item(&schema.names[at])?
                {
                    cells[at] = reader.read_now(&value)?;
                }
            }
        }
        let wanted = |at| {
            let mut columns = steps.layout.taken(self.mask);
            let named = |name| {
                self.wants.rows
                    || self.wants.steps
                    || self.wants.columns.iter().any(|it| it == name)
            };
            columns.any(|(taken, name)| taken == at && named(name))
        };
        let (py, first) = (logs.py(), cells.len());
        if let Some(columns) = &self.steps {
            let read = |value: &Bound<'_, PyAny>| reader.read_now(value);
            columns.get().cells(py, steps, &mut cells, read, wanted)?;
        }
        for cell in &mut cells[first..] {
            if let Cell::Slot(slot) = cell
                && let Some(read) = Item::resolve(slot, py, true)?
            {
                *cell = read;
            }
        }
        Ok(cells.into())
    }
}

/// Logs as a dict: those that are not a mapping, such as None, are empty.
fn as_dict<'py>(logs: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(dict) = logs.cast::<PyDict>() {
        return Ok(dict.clone());
    }
    let dict = PyDict::new(logs.py());
    if let Ok(mapping) = logs.cast::<PyMapping>() {
        dict.update(mapping)?;
    }
    Ok(dict)
}
