//! A progress bar for batches.

use std::collections::VecDeque;

use fitwatch_core::progress_bar::{ProgressBar, Style};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

use crate::row::Row;
use crate::sink::{Batch, Gate, Outcome, Sink, Wants};
use crate::value::Cell;

/// Counts batches, and draws a progress bar when a redraw is due.
///
/// Args:
///     show: Called with the text to print.
///     seen: The number of batches so far.
#[pyclass(module = "fitwatch._core")]
pub struct Progress {
    /// The number of the last batch, counted from 1.
    #[pyo3(get, set)]
    seen: i64,
    /// The total number of batches; None if it is unknown.
    #[pyo3(get, set)]
    target: Option<i64>,
    /// Whether the bar shows the values of the logs.
    #[pyo3(get, set)]
    values: bool,
    show: Option<Py<PyAny>>,
    bar: ProgressBar,
    /// The batches whose rows are to be drawn: ordinal and count.
    shown: VecDeque<(u64, i64)>,
    /// The last value of each name that callbacks have set in the logs; the final bar shows them.
    written: Option<Py<PyDict>>,
}

#[pymethods]
impl Progress {
    #[new]
    #[pyo3(signature = (show, seen=0))]
    fn new(show: Py<PyAny>, seen: i64) -> Self {
        Self {
            seen,
            target: None,
            values: true,
            show: Some(show),
            bar: ProgressBar::default(),
            shown: VecDeque::new(),
            written: None,
        }
    }

    /// Supports `copy` and `pickle`: class, arguments. The bar itself is not copied.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (Option<Py<PyAny>>, i64)) {
        let this = slf.borrow();
        let show = this.show.as_ref().map(|show| show.clone_ref(slf.py()));
        (slf.get_type(), (show, this.seen))
    }

    /// Begins a new bar: "silent", "live", "plain" or "summary".
    fn begin(slf: &Bound<'_, Self>, style: &str, now: f64) -> PyResult<()> {
        let style = match style {
            "silent" => Style::Silent,
            "live" => Style::Live,
            "plain" => Style::Plain,
            "summary" => Style::Summary,
            _ => return Err(PyValueError::new_err(format!("no style: {style}"))),
        };
        Self::take_bar(slf, ProgressBar::new(style, now));
        Ok(())
    }

    /// The last value of each name that callbacks have set in the logs; None for names that no
    /// callback has set. Empty if no callback has set any.
    #[getter]
    fn written<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyDict> {
        let written = self.written.get_or_insert_with(|| PyDict::new(py).unbind());
        written.bind(py).clone()
    }

    /// Begins a bar that is drawn over the line of another, with a label before its count.
    fn begin_over(slf: &Bound<'_, Self>, other: &Bound<'_, Self>, label: &str, now: f64) {
        let bar = other.borrow().bar.over(label, now);
        Self::take_bar(slf, bar);
    }

    /// Takes over the line from a bar that was drawn over this one.
    fn take_back(&mut self, over: &Bound<'_, Self>) {
        self.bar.take_back(&over.borrow().bar);
    }

    /// Sets the value to show for a name.
    fn set(&mut self, name: &str, value: f64) {
        self.bar.set(name, value);
    }

    /// Records the end of a step. Returns whether a redraw is due.
    fn step(&mut self, current: i64, now: f64) -> bool {
        self.bar.step(current, now)
    }

    /// Draws the bar.
    fn draw(slf: &Bound<'_, Self>, current: i64, now: f64, last: bool) -> PyResult<()> {
        let py = slf.py();
        let (text, show) = {
            let mut this = slf.borrow_mut();
            let target = this.target;
            let text = this.bar.draw(current, target, now, last);
            (text, this.show.as_ref().map(|show| show.clone_ref(py)))
        };
        if let (Some(show), false) = (show, text.is_empty()) {
            show.call1(py, (text,))?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.written)?;
        visit.call(&self.show)
    }

    fn __clear__(&mut self) {
        self.show = None;
        self.written = None;
    }
}

impl Progress {
    fn take_bar(slf: &Bound<'_, Self>, bar: ProgressBar) {
        let mut this = slf.borrow_mut();
        this.bar = bar;
        this.shown.clear();
        let old = this.written.take();
        drop(this);
        drop(old);
    }
}

impl Sink for Py<Progress> {
    fn wants(&self, _py: Python<'_>) -> Wants {
        Wants {
            rows: true,
            clock: true,
            ..Wants::default()
        }
    }

    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        let Ok(number) = batch.number.extract::<i64>() else {
            return Gate::Hook;
        };
        let mut this = self.borrow_mut(batch.number.py());
        this.seen = number.saturating_add(1);
        let seen = this.seen;
        if !this.bar.step(seen, batch.now) {
            return Gate::Shut;
        }
        if this.values {
            this.shown.push_back((batch.ordinal, seen));
            Gate::Open
        } else {
            Gate::Act
        }
    }

    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let this = &mut *self.borrow_mut(py);
        let Some(current) = super::kept(&mut this.shown, row.ordinal) else {
            return Outcome::Done;
        };
        let names: Option<Vec<&str>> = row.schema.texts().collect();
        let (Some(names), true) = (names, row.is_numeric()) else {
            return Outcome::Action;
        };
        for (at, name) in names.into_iter().enumerate() {
            if let Cell::Number(value) = row.cell(at) {
                this.bar.set(name, *value);
            }
        }
        for (at, name) in row.additional() {
            if let Some(value) = row.step_at(at, row.batches() - 1) {
                this.bar.set(name, value);
            }
        }
        let text = this.bar.draw(current, this.target, row.now, false);
        match &this.show {
            Some(show) => Outcome::Print(show.clone_ref(py), text),
            None => Outcome::Done,
        }
    }

    /// Keeps the values that callbacks have set in the logs.
    fn look(&self, logs: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = logs.py();
        if !logs.getattr(intern!(py, "_writes"))?.is_truthy()? {
            return Ok(());
        }
        let written = self.borrow_mut(py).written(py);
        if written.is_empty() {
            // Establish the names of the metrics and their order.
            for name in logs.keys() {
                written.set_item(name, py.None())?;
            }
        }
        for name in logs.getattr(intern!(py, "_written"))?.try_iter()? {
            let name = name?;
            // `get_item` bypasses the conversion of values in `Logs.__getitem__`.
            if let Some(value) = logs.get_item(&name)? {
                written.set_item(name, value)?;
            }
        }
        Ok(())
    }
}
