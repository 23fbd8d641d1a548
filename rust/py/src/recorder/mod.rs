//! The compiled hooks of `fitwatch.CallbackList`.

mod call;
mod pace;
mod plan;
mod queue;
mod run;
mod turn;

use std::sync::Arc;
use std::time::Instant;

use fitwatch_core::timing::SlowHooks;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyType};

use crate::row::{Order, Schema};
use crate::value::Reader;
use crate::value::waiting::waiting;
use pace::Pace;
use plan::Plan;
use queue::Queue;
use turn::{Turn, this_thread};

/// The most batches that wait for their values, where no decision depends on them.
const LONGEST: usize = 1024;

/// What a batch's columns depend on: the plan, the schema, and whether its step columns are known.
type Wanted = (u64, u64, bool);

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
///         `_reader()`, `_failed()`, `_interrupted()` and `_report()`.
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
    /// Reads the values; made with the first batch, since making it may start the backend.
    reader: Option<Py<Reader>>,
    logs: Py<PyType>,
    plans: [Option<Arc<Plan>>; HOOKS.len()],
    /// The contents of `callbacks` when the plans were made.
    planned: Vec<Py<PyAny>>,
    order: Option<Arc<Order>>,
    /// The schema of logs that are in no such order.
    flat: Option<Arc<Schema>>,
    /// Where the plan's columns are in a schema.
    columns: Option<(Wanted, Arc<[usize]>)>,
    queue: Queue,
    /// Who has the queue, while it is drained.
    turn: Arc<Turn>,
    /// The thread that trains: the one whose hook has put the last batch down.
    thread: usize,
    pace: Pace,
    slow_hooks: SlowHooks,
    /// That of the last batch.
    ordinal: u64,
    interrupted: bool,
    /// What an action raised when an attribute was read.
    put_off: Option<PyErr>,
}

#[pymethods]
impl Recorder {
    #[new]
    fn new(py: Python<'_>, owner: Py<PyAny>, logs: Py<PyType>, max_lag: usize) -> Self {
        Self {
            callbacks: PyList::empty(py).into_any().unbind(),
            max_lag,
            owner: Some(owner),
            reader: None,
            logs,
            plans: Default::default(),
            planned: Vec::new(),
            order: None,
            flat: None,
            columns: None,
            queue: Queue::default(),
            turn: Arc::default(),
            thread: 0,
            pace: Pace::default(),
            slow_hooks: SlowHooks::default(),
            ordinal: 0,
            interrupted: false,
            put_off: None,
        }
    }

    #[setter]
    fn set_callbacks(slf: &Bound<'_, Self>, callbacks: Py<PyAny>) {
        let mut this = slf.borrow_mut();
        let old = std::mem::replace(&mut this.callbacks, callbacks);
        // Objects are let go of without a borrow, here and elsewhere: a `__del__` may come back.
        drop(this);
        drop(old);
    }

    /// Finds out again which callbacks override what, when the next batch comes.
    fn replan(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::drain(slf)?;
        let mut this = slf.borrow_mut();
        this.pace.pause();
        this.slow_hooks.resume(Instant::now());
        let old = std::mem::take(&mut this.plans);
        drop(this);
        drop(old);
        Ok(())
    }

    /// Reads all values that wait, and hands them to their sinks. For the thread that trains.
    fn drain(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.borrow_mut().thread = this_thread();
        Self::raise_put_off(slf)?;
        waiting(|| Self::drain_to(slf, 0))
    }

    /// The same for a read of an attribute: what an action raises comes out of the next hook, or
    /// nowhere, if no hook follows.
    ///
    /// Any thread may look, also while another one drains, for which it waits. Decisions are left
    /// to the thread that trains, and so are the rows behind them. An action must not wait for a
    /// thread that looks.
    #[pyo3(signature = (last=false))]
    fn settle(slf: &Bound<'_, Self>, last: bool) {
        while let Err(error) = waiting(|| Self::drain_to(slf, 0)) {
            let mut this = slf.borrow_mut();
            let dropped = if last || this.put_off.is_some() {
                Some(error)
            } else {
                this.put_off.replace(error)
            };
            drop(this);
            drop(dropped);
        }
        if last {
            let dropped = slf.borrow_mut().put_off.take();
            drop(dropped);
        }
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

    /// Forgets what hooks took: another training begins.
    fn start_over(&mut self) {
        self.slow_hooks = SlowHooks::default();
    }

    /// Each callback whose Python hooks have been called, the part of the time of batches (0 to 1)
    /// that they took, and whether that is worth a warning.
    fn shares(&self, py: Python<'_>) -> Vec<(Py<PyAny>, f64, bool)> {
        let shares = self.slow_hooks.shares();
        shares
            .filter_map(|one| {
                // Hooks of the list itself come behind those of the callbacks.
                let callback = self.planned.get(one.callback)?;
                Some((callback.clone_ref(py), one.share, one.slow))
            })
            .collect()
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
        self.queue.traverse(&visit)
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
