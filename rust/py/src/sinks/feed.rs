//! The one way into a sink, from a compiled list or from a Python hook.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::clock::now;
use crate::row::{Row, Schema, StepColumns, StepValues};
use crate::sink::{Batch, Gate, Sink, Wants, next_ordinal};
use crate::value::waiting::waiting;
use crate::value::{Cell, Reader};

/// A sink, and the step columns that it wants.
///
/// Args:
///     sink: The sink.
///     steps: Step columns that take the place of the metrics of their names; None for none.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Feed {
    /// The sink, as Python has it.
    object: Py<PyAny>,
    pub sink: Box<dyn Sink>,
    pub steps: Option<Py<StepColumns>>,
    pub wants: Wants,
    /// The names of the logs that were pushed last.
    schema: Mutex<Option<Arc<Schema>>>,
}

#[pymethods]
impl Feed {
    #[new]
    #[pyo3(signature = (sink, steps=None))]
    pub fn new(sink: &Bound<'_, PyAny>, steps: Option<Py<StepColumns>>) -> PyResult<Self> {
        let (py, object) = (sink.py(), sink.clone().unbind());
        let sink = super::sink_of(sink)?;
        let wants = sink.wants(py);
        Ok(Self {
            object,
            sink,
            steps,
            wants,
            schema: Mutex::default(),
        })
    }

    /// Pushes a batch that has just ended, for a Python hook: what a compiled list does with it,
    /// but at once.
    ///
    /// Args:
    ///     batch: The batch's number.
    ///     logs: Its logs, a dict.
    ///     action: What the sink calls where the core cannot do it alone.
    ///     reader: What reads the values.
    ///
    /// Returns:
    ///     Whether the sink wanted anything of the batch.
    fn push(
        &self,
        batch: &Bound<'_, PyAny>,
        logs: &Bound<'_, PyDict>,
        action: &Bound<'_, PyAny>,
        reader: &Bound<'_, Reader>,
    ) -> PyResult<bool> {
        let (py, reader) = (batch.py(), reader.get());
        let steps = match &self.steps {
            Some(steps) => steps.get().read(py)?,
            None => StepValues::default(),
        };
        let (ordinal, now) = (next_ordinal(), now());
        match self.sink.gate(&Batch {
            number: batch,
            ordinal,
            now,
            clock_read: true,
            taken: steps.batches,
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
        let cells = waiting(|| self.cells(logs, &schema, &steps, reader))?;
        let row = Row {
            schema: &schema,
            steps: self.step_names(),
            batches: steps.batches,
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
        visit.call(&self.object) // once more, for the reference that `sink` is
    }
}

impl Feed {
    pub fn step_names(&self) -> &[String] {
        self.steps.as_ref().map_or(&[], |steps| &steps.get().names)
    }

    fn schema_of(&self, logs: &Bound<'_, PyDict>) -> Arc<Schema> {
        let lock = || self.schema.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        if let Some(schema) = known.filter(|schema| schema.is_of(logs)) {
            return schema;
        }
        let schema = Schema::new(logs.keys().iter().collect());
        let old = lock().replace(schema.clone());
        drop(old); // what is let go of may run Python code, for which no lock is held
        schema
    }

    /// The values that the sink wants, read now, and those of the step columns.
    fn cells(
        &self,
        logs: &Bound<'_, PyDict>,
        schema: &Schema,
        steps: &StepValues<'_>,
        reader: &Reader,
    ) -> PyResult<VecDeque<Cell>> {
        let mut cells = VecDeque::with_capacity(logs.len() + steps.values.len());
        for ((_, value), name) in logs.iter().zip(schema.texts()) {
            let named = |column: &String| Some(column.as_str()) == name;
            let taken = steps.batches > 0 && self.step_names().iter().any(named);
            let wanted = !taken && self.wants.columns.iter().any(named);
            cells.push_back(if self.wants.rows || wanted {
                reader.read_now(&value)?
            } else {
                Cell::Unwanted
            });
        }
        for value in &steps.values {
            cells.push_back(reader.read_now(value)?);
        }
        Ok(cells)
    }
}
