//! The compiled hooks of `fitwatch.CallbackList`.

mod call;
mod pace;
mod plan;
pub mod queue;
pub mod schema;

use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyType};

use crate::reader::Reader;
use call::Call;
use pace::Pace;
use plan::Plan;
use queue::Queue;
use schema::{Order, Schema};

/// Batches that wait for values at most, whoever wants them.
const LONGEST: usize = 1024;

/// The batch hooks, in the order of `Recorder::plans`.
const HOOKS: [&str; 8] = [
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_predict_batch_begin",
    "on_predict_batch_end",
    "on_batch_begin",
    "on_batch_end",
];

/// Has the batch hooks of a callback list, as builtin methods.
///
/// A hook calls the Python hooks that some callback overrides, in the order of the list, and keeps
/// the values that compiled callbacks want until they are there.
///
/// Args:
///     owner: What knows about Python, a `CallbackList` with `_plan(hook)`, `_flatten(logs)`,
///         `_failed()`, `_interrupted()` and `_report()`.
///     reader: Reads the values.
///     logs: The type of the logs that Python hooks get: a dict that reads a value when it is
///         asked for it.
///     `max_lag`: Batches that a decision may wait for its values.
#[pyclass(module = "fitwatch._core")]
pub struct Recorder {
    /// The callbacks: a list, as a user sees it.
    #[pyo3(get)]
    callbacks: Py<PyAny>,
    #[pyo3(get)]
    max_lag: usize,
    owner: Option<Py<PyAny>>,
    reader: Py<Reader>,
    logs: Py<PyType>,
    plans: [Option<Arc<Plan>>; HOOKS.len()],
    /// What `callbacks` had in it when the plans were made.
    planned: Vec<Py<PyAny>>,
    order: Option<Arc<Order>>,
    /// Where the plan's columns are in a schema.
    columns: Option<(usize, u64, Arc<[usize]>)>,
    queue: Queue,
    draining: bool,
    pace: Pace,
    batches: u64,
    interrupted: bool,
}

#[pymethods]
impl Recorder {
    #[new]
    fn new(
        py: Python<'_>,
        owner: Py<PyAny>,
        reader: Py<Reader>,
        logs: Py<PyType>,
        max_lag: usize,
    ) -> Self {
        Self {
            callbacks: PyList::empty(py).into_any().unbind(),
            max_lag,
            owner: Some(owner),
            reader,
            logs,
            plans: Default::default(),
            planned: Vec::new(),
            order: None,
            columns: None,
            queue: Queue::default(),
            draining: false,
            pace: Pace::default(),
            batches: 0,
            interrupted: false,
        }
    }

    #[setter]
    fn set_callbacks(&mut self, callbacks: Py<PyAny>) {
        self.callbacks = callbacks;
        self.plans = Default::default();
    }

    /// Finds out again which callbacks override what, when the next batch comes.
    fn replan(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::drain(slf)?;
        let mut this = slf.borrow_mut();
        this.plans = Default::default();
        this.pace.pause();
        Ok(())
    }

    /// Reads all values that wait, and hands them to their sinks.
    fn drain(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::drain_to(slf, 0)
    }

    /// How many batches wait for their values.
    #[getter]
    fn waiting(&self) -> usize {
        self.queue.records.len()
    }

    /// Ends the training after the batch that is running.
    #[setter]
    fn set_interrupted(&mut self, interrupted: bool) {
        self.interrupted = interrupted;
    }

    #[getter]
    fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// What each callback's Python hooks took of the time of the batches that were measured, by
    /// its place in the list, and how many batches that were.
    fn shares(&self) -> (Vec<(usize, f64)>, u64) {
        self.pace.shares()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.callbacks)?;
        visit.call(&self.owner)?;
        for callback in &self.planned {
            visit.call(callback)?;
        }
        for plan in self.plans.iter().flatten() {
            plan.traverse(&visit)?;
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.owner = None;
        self.planned.clear();
        self.plans = Default::default();
        self.queue = Queue::default();
    }
}

macro_rules! hooks {
    ($($at:literal $name:ident $doc:literal),*) => {
        #[pymethods]
        impl Recorder {
            $(
                #[doc = $doc]
                #[pyo3(signature = (batch, logs=None))]
                fn $name<'py>(
                    slf: &Bound<'py, Self>,
                    batch: &Bound<'py, PyAny>,
                    logs: Option<&Bound<'py, PyAny>>,
                ) -> PyResult<()> {
                    Self::run(slf, $at, batch, logs)
                }
            )*
        }
    };
}

hooks!(
    0 on_train_batch_begin "Called before a training batch.",
    1 on_train_batch_end "Called after a training batch.",
    2 on_test_batch_begin "Called before a batch of an evaluation.",
    3 on_test_batch_end "Called after a batch of an evaluation.",
    4 on_predict_batch_begin "Called before a batch of a prediction.",
    5 on_predict_batch_end "Called after a batch of a prediction.",
    6 on_batch_begin "The old name of `on_train_batch_begin`.",
    7 on_batch_end "The old name of `on_train_batch_end`."
);

impl Recorder {
    /// One hook of one batch.
    fn run<'py>(
        slf: &Bound<'py, Self>,
        hook: usize,
        batch: &Bound<'py, PyAny>,
        logs: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let ends = hook % 2 == 1;
        let result = match Self::plan(slf, hook) {
            Ok(plan) if plan.entries.is_empty() => Ok(()),
            Ok(plan) => {
                let mut call = Call::new(slf, &plan, hook, batch, logs, ends);
                let result = call.run();
                call.close();
                let report = call.report_due;
                result.and_then(|()| {
                    if report {
                        Self::tell(slf, intern!(slf.py(), "_report"))?;
                    }
                    if ends {
                        Self::drain_if_due(slf, &plan, call.clock_read)
                    } else {
                        Ok(())
                    }
                })
            }
            Err(error) => Err(error),
        };
        let py = slf.py();
        match result {
            Ok(()) if ends && slf.borrow().interrupted => {
                slf.borrow_mut().interrupted = false;
                Self::tell(slf, intern!(py, "_interrupted"))
            }
            Ok(()) => Ok(()),
            Err(error) => {
                // The exception is what the user has to see, whatever else fails now.
                if let Err(second) = Self::tell(slf, intern!(py, "_failed")) {
                    second.write_unraisable(py, None);
                }
                Err(error)
            }
        }
    }

    /// Calls a method of the owner.
    fn tell(slf: &Bound<'_, Self>, method: &Bound<'_, PyString>) -> PyResult<()> {
        let owner = slf.borrow().owner.as_ref().map(|o| o.clone_ref(slf.py()));
        if let Some(owner) = owner {
            owner.call_method0(slf.py(), method)?;
        }
        Ok(())
    }

    /// The plan of a hook; a new one if the callbacks have changed.
    fn plan(slf: &Bound<'_, Self>, hook: usize) -> PyResult<Arc<Plan>> {
        let py = slf.py();
        let changed = {
            let this = slf.borrow();
            let changed = this.changed(py);
            if !changed && let Some(plan) = &this.plans[hook] {
                return Ok(plan.clone());
            }
            changed
        };
        if changed {
            Self::drain(slf)?;
            let mut this = slf.borrow_mut();
            let callbacks = this.callbacks.bind(py).try_iter()?;
            let planned: PyResult<Vec<_>> = callbacks.map(|item| item.map(Bound::unbind)).collect();
            this.planned = planned?;
            this.plans = Default::default();
            this.pace.start_over();
        }
        let owner = slf.borrow().owner.as_ref().map(|o| o.clone_ref(py));
        let plan = match owner {
            Some(owner) => {
                let planned = owner.call_method1(py, intern!(py, "_plan"), (HOOKS[hook],))?;
                Arc::new(Plan::new(planned.bind(py))?)
            }
            None => Arc::default(),
        };
        slf.borrow_mut().plans[hook] = Some(plan.clone());
        Ok(plan)
    }

    fn changed(&self, py: Python<'_>) -> bool {
        let Ok(list) = self.callbacks.bind(py).cast::<PyList>() else {
            // No list: whatever it is, it is looked at every time.
            return true;
        };
        list.len() != self.planned.len()
            || list
                .iter()
                .zip(&self.planned)
                .any(|(callback, planned)| !planned.is(&callback))
    }

    fn drain_if_due(slf: &Bound<'_, Self>, plan: &Plan, clock_read: bool) -> PyResult<()> {
        let may_wait = {
            let this = slf.borrow();
            let waiting = this.queue.records.len();
            if waiting == 0 {
                return Ok(());
            }
            // On a device that runs ahead, and where a decision depends on the values.
            let lag = match (plan.decides, this.reader.get().at_once()) {
                (true, true) => 0,
                (true, false) => this.max_lag,
                (false, _) => LONGEST,
            };
            if waiting <= lag && !clock_read {
                return Ok(());
            }
            lag
        };
        Self::drain_to(slf, may_wait)
    }

    fn drain_to(slf: &Bound<'_, Self>, may_wait: usize) -> PyResult<()> {
        let (mut queue, reader) = {
            let mut this = slf.borrow_mut();
            if this.draining || this.queue.records.is_empty() {
                return Ok(());
            }
            this.draining = true;
            (
                std::mem::take(&mut this.queue),
                this.reader.clone_ref(slf.py()),
            )
        };
        // Without a borrow: a sink's action may run hooks of this very list.
        let result = queue.drain(slf.py(), reader.get(), may_wait);
        let mut this = slf.borrow_mut();
        this.draining = false;
        let newer = std::mem::replace(&mut this.queue, queue);
        this.queue.append(newer);
        result
    }
}

impl Recorder {
    /// Where the plan's columns are in a schema.
    fn columns(&mut self, plan: &Arc<Plan>, schema: &Schema) -> Arc<[usize]> {
        let address = Arc::as_ptr(plan) as usize;
        if let Some((known_plan, known_schema, columns)) = &self.columns
            && *known_plan == address
            && *known_schema == schema.id
        {
            return columns.clone();
        }
        let columns: Arc<[usize]> = plan
            .columns
            .iter()
            .filter_map(|name| schema.position(name))
            .collect();
        self.columns = Some((address, schema.id, columns.clone()));
        columns
    }
}
