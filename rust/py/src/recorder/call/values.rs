//! The values of a batch: its logs and its step columns, each read on first use.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{Call, Recorder};
use crate::row::{Order, Schema, StepValues};

impl<'py> Call<'_, 'py> {
    /// The values of the step columns.
    pub(super) fn steps(&mut self) -> PyResult<&StepValues> {
        let steps = match (self.steps.take(), &self.plan.steps) {
            (Some(steps), _) => steps,
            (None, Some(columns)) => columns.get().read(self.py())?,
            (None, None) => StepValues::none(),
        };
        Ok(self.steps.insert(steps))
    }

    /// The names and values of the logs, in Keras's order.
    pub(super) fn values(&mut self) -> PyResult<(&Arc<Schema>, &Vec<Bound<'py, PyAny>>)> {
        let values = match self.values.take() {
            Some(values) => values,
            None => self.ordered()?,
        };
        let (schema, values) = self.values.insert(values);
        Ok((schema, values))
    }

    fn ordered(&self) -> PyResult<(Arc<Schema>, Vec<Bound<'py, PyAny>>)> {
        let mut values = Vec::new();
        let dict = self.source.and_then(|logs| logs.cast::<PyDict>().ok());
        let known = self.recorder.borrow().order.clone();
        if let (Some(dict), Some(order)) = (dict, known)
            && order.apply(dict, &mut values)
        {
            return Ok((order.schema.clone(), values));
        }
        // The names have changed, or the logs are nested, None or not a dict.
        let py = self.py();
        let owner = self.recorder.borrow().owner(py);
        let flat = match owner {
            Some(owner) => owner.call_method1(py, intern!(py, "_flatten"), (self.source,))?,
            None => PyDict::new(py).into_any().unbind(),
        };
        let flat = flat.bind(py).cast::<PyDict>()?.clone();
        if let Some(dict) = dict
            && flat.len() == dict.len()
        {
            let order = Arc::new(Order::new(dict)?);
            if order.apply(dict, &mut values) {
                let schema = order.schema.clone();
                let old = self.recorder.borrow_mut().order.replace(order);
                drop(old);
                return Ok((schema, values));
            }
        }
        let schema = Recorder::schema_of(self.recorder, &flat);
        Ok((schema, flat.values().iter().collect()))
    }
}
