//! Batch values for TensorBoard.

use std::collections::VecDeque;

use fitwatch_core::files::event_file::Template;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::Counter;
use crate::files::EventFile;
use crate::row::Row;
use crate::sink::{Act, Batch, Wish};
use crate::value::Cell;

/// Writes all values of every so many batches to an event file.
///
/// A row with a value that is no number is left to the action.
///
/// Args:
///     counter: Counts the batches; the step of a value is its count.
///     every: Batches between two rows.
///     file: Where to write.
///     prefix: Stands before each metric's name.
///     losses: Where the losses of a call's batches are found, which are written in the place of
///         `loss`, each at its own step.
#[pyclass(module = "fitwatch._core")]
pub struct Scalars {
    counter: Py<Counter>,
    every: i64,
    file: Py<EventFile>,
    prefix: String,
    pub losses: Option<Py<PyAny>>,
    /// The batches whose rows were wished, and their steps.
    wished: VecDeque<(u64, i64)>,
    /// The tags of the names of the schema with this number.
    templates: Option<(u64, Vec<Template>)>,
}

#[pymethods]
impl Scalars {
    #[new]
    #[pyo3(signature = (counter, every, file, prefix, losses=None))]
    fn new(
        counter: Py<Counter>,
        every: i64,
        file: Py<EventFile>,
        prefix: String,
        losses: Option<Py<PyAny>>,
    ) -> Self {
        Self {
            counter,
            every,
            file,
            prefix,
            losses,
            wished: VecDeque::new(),
            templates: None,
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.losses)
    }

    fn __clear__(&mut self) {
        self.losses = None;
    }
}

impl Scalars {
    pub fn wish(slf: &Bound<'_, Self>, batch: &Batch<'_, '_>) -> Wish {
        let py = slf.py();
        let losses = slf.borrow().losses.as_ref().map(|it| it.clone_ref(py));
        // The first batch of the call is counted already.
        let more = (super::count_losses(py, losses.as_ref()) - 1).max(0);
        let mut this = slf.borrow_mut();
        let last = {
            let mut counter = this.counter.borrow_mut(py);
            counter.count += more;
            counter.count
        };
        if this.last_due(last) < last - more {
            return Wish::Nothing;
        }
        this.wished.push_back((batch.ordinal, last));
        Wish::Row
    }

    /// The last step up to this one that is due.
    fn last_due(&self, step: i64) -> i64 {
        let every = self.every.max(1);
        step.div_euclid(every) * every
    }

    pub fn take(slf: &Bound<'_, Self>, row: &Row<'_>) -> Act {
        let py = slf.py();
        let mut guard = slf.borrow_mut();
        let this = &mut *guard;
        let Some(last) = super::wished(&mut this.wished, row.ordinal) else {
            return Act::Nothing;
        };
        if this.templates.as_ref().map(|known| known.0) != Some(row.schema.id) {
            let texts: Option<Vec<&str>> = row.schema.texts().collect();
            let Some(texts) = texts else {
                return Act::Losses(last);
            };
            let template = |name| Template::new(&format!("{}{name}", this.prefix));
            this.templates = Some((row.schema.id, texts.into_iter().map(template).collect()));
        }
        let templates = this.templates.iter().flat_map(|known| &known.1);
        if !row.is_numeric() {
            return Act::Losses(last);
        }
        let wanted = this.losses.is_some();
        let count = i64::try_from(row.losses(wanted).len()).unwrap_or(0);
        let steps = last - count + 1..=last;
        let file = this.file.clone_ref(py);
        let file = file.get();
        for (at, template) in templates.enumerate() {
            if count > 0 && row.schema.is_loss(at) {
                for (step, loss) in steps.clone().zip(row.losses(wanted)) {
                    if step % this.every.max(1) == 0 {
                        file.add(template, loss, step, row.now);
                    }
                }
            } else if let Cell::Number(value) = row.cell(at) {
                file.add(template, *value, this.last_due(last), row.now);
            }
        }
        drop(guard);
        file.care(py);
        Act::Nothing
    }
}
