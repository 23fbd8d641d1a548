//! Where the time of a training goes.

use std::time::{Duration, Instant};

use fitwatch_core::timing::{self as core, Activity};
use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Sums the time that is spent on each activity: every moment once, for the innermost one.
///
/// An activity is "steps", "data", "validation", "saving", or the hooks of a callback, given as the
/// callback itself. The time begins when this is made.
#[pyclass(module = "fitwatch._core")]
pub struct Spent {
    inner: core::Spent,
    started: Instant,
    /// The callbacks that have an index in `inner`.
    #[pyo3(get)]
    callbacks: Vec<Py<PyAny>>,
}

/// The beginning of an activity.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Mark(core::Mark);

#[pymethods]
impl Spent {
    #[new]
    fn new() -> Self {
        Self {
            inner: core::Spent::default(),
            started: Instant::now(),
            callbacks: Vec::new(),
        }
    }

    /// An activity begins.
    fn mark(&self) -> Mark {
        Mark(self.inner.mark(Instant::now()))
    }

    /// An activity has ended.
    fn add(&mut self, activity: &Bound<'_, PyAny>, mark: &Mark) -> PyResult<()> {
        let activity = self.activity(activity)?;
        self.inner.add(activity, mark.0, Instant::now(), None);
        Ok(())
    }

    /// How many seconds were spent on an activity.
    fn seconds(&mut self, activity: &Bound<'_, PyAny>) -> PyResult<f64> {
        let activity = self.activity(activity)?;
        Ok(self.inner.on(activity).as_secs_f64())
    }

    /// How many seconds were spent on no activity.
    #[getter]
    fn rest(&self) -> f64 {
        let passed = self.started.elapsed();
        passed.saturating_sub(self.inner.counted()).as_secs_f64()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.callbacks
            .iter()
            .try_for_each(|callback| visit.call(callback))
    }

    fn __clear__(&mut self) {
        self.callbacks.clear();
    }
}

impl Spent {
    fn activity(&mut self, activity: &Bound<'_, PyAny>) -> PyResult<Activity> {
        let Ok(name) = activity.cast::<PyString>() else {
            return Ok(self.callback(activity));
        };
        Ok(match name.to_str()? {
            "steps" => Activity::Steps,
            "data" => Activity::DataWait,
            "validation" => Activity::Validation,
            "saving" => Activity::Saving,
            other => return Err(PyValueError::new_err(format!("no activity: {other}"))),
        })
    }

    fn callback(&mut self, callback: &Bound<'_, PyAny>) -> Activity {
        let known = self.callbacks.iter().position(|one| one.is(callback));
        Activity::Callback(known.unwrap_or_else(|| {
            self.callbacks.push(callback.clone().unbind());
            self.callbacks.len() - 1
        }))
    }
}

/// A Python hook that is running.
pub struct RunningHook {
    spent: Py<Spent>,
    callback: Py<PyAny>,
    mark: core::Mark,
}

impl RunningHook {
    /// A hook of a callback begins.
    pub fn begin(py: Python<'_>, spent: &Py<Spent>, callback: &Py<PyAny>, began: Instant) -> Self {
        Self {
            spent: spent.clone_ref(py),
            callback: callback.clone_ref(py),
            mark: spent.borrow(py).inner.mark(began),
        }
    }

    /// It has ended; `waited` says what it waited for, and how long.
    pub fn end(self, py: Python<'_>, ended: Instant, waited: (Activity, Duration)) {
        let spent = &mut *self.spent.borrow_mut(py);
        let activity = spent.callback(self.callback.bind(py));
        spent.inner.add(activity, self.mark, ended, Some(waited));
    }
}
