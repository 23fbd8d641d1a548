//! Batch values for TensorBoard.

use std::collections::VecDeque;

use fitwatch_core::event_file::Template;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::{Act, Batch, Counter, Wish, tell_failure};
use crate::event_file::EventFile;
use crate::reader::Cell;
use crate::recorder::queue::Row;

/// Writes all values of every so many batches to an event file.
///
/// A row with a value that is no number is left to the action, and so is the failure of the file
/// to the function `failed`, which is called with the error once.
///
/// Args:
///     counter: Counts the batches; the step of a value is its count.
///     every: Batches between two rows.
///     file: Where to write.
///     prefix: Stands before each metric's name.
///     failed: Called with the `OSError` when the file cannot be written any more.
#[pyclass(module = "fitwatch._core")]
pub struct Scalars {
    counter: Py<Counter>,
    every: i64,
    file: Py<EventFile>,
    prefix: String,
    failed: Option<Py<PyAny>>,
    /// The batches whose rows were wished, and their steps.
    wished: VecDeque<(u64, i64)>,
    /// The tags of the names of the schema with this number.
    templates: Option<(u64, Vec<Template>)>,
}

#[pymethods]
impl Scalars {
    #[new]
    fn new(
        counter: Py<Counter>,
        every: i64,
        file: Py<EventFile>,
        prefix: String,
        failed: Py<PyAny>,
    ) -> Self {
        Self {
            counter,
            every,
            file,
            prefix,
            failed: Some(failed),
            wished: VecDeque::new(),
            templates: None,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.failed)
    }

    fn __clear__(&mut self) {
        self.failed = None;
    }
}

impl Scalars {
    pub fn wish(&mut self, batch: &Batch<'_, '_>) -> Wish {
        let step = self.counter.borrow(batch.number.py()).count;
        if step % self.every.max(1) != 0 {
            return Wish::Nothing;
        }
        self.wished.push_back((batch.ordinal, step));
        Wish::Row
    }

    pub fn take(slf: &Bound<'_, Self>, row: &Row<'_>) -> Act {
        let py = slf.py();
        let mut this = slf.borrow_mut();
        let this = &mut *this;
        let Some(step) = super::wished(&mut this.wished, row.ordinal) else {
            return Act::Nothing;
        };
        if this.templates.as_ref().map(|known| known.0) != Some(row.schema.id) {
            let texts: Option<Vec<&str>> = row.schema.texts().collect();
            let Some(texts) = texts else {
                return Act::Step(step);
            };
            let template = |name| Template::new(&format!("{}{name}", this.prefix));
            this.templates = Some((row.schema.id, texts.into_iter().map(template).collect()));
        }
        let templates = this.templates.iter().flat_map(|known| &known.1);
        if !row.is_numeric() {
            return Act::Step(step);
        }
        let mut file = this.file.borrow_mut(py);
        for (at, template) in templates.enumerate() {
            if let Cell::Number(value) = row.cell(at)
                && let Err(error) = file.add(template, *value, step, row.now)
            {
                drop(file);
                tell_failure(py, this.failed.take().as_ref(), error);
                return Act::Nothing;
            }
        }
        Act::Nothing
    }
}
