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
use crate::spent::{RunningHook, Spent};
use crate::value::Reader;
use crate::value::wait_time::timed_wait;
use pace::Pace;
use plan::{Entry, Plan};
use queue::Queue;
use turn::{Turn, this_thread};

/// The maximum number of queued rows if no decision depends on them.
const LONGEST: usize = 1024;

/// The cache key of `Recorder::columns`: plan, schema and step columns.
type Wanted = (u64, u64, u64);

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

/// The batch hooks of a callback list, as builtin methods.
///
/// A hook calls the Python hooks that callbacks override, in the order of the list, and queues the
/// values that compiled callbacks need until they are ready.
///
/// Args:
///     owner: The `CallbackList`, with `_plan(hook)`, `_flatten(logs)`, `_reader()`, `_failed()`,
///         `_interrupted()` and `_report()`.
///     logs: The type of the logs for Python hooks: a dict that converts a value when it is read.
///     `max_lag`: How many batches late a decision may come.
#[pyclass(module = "fitwatch._core")]
pub struct Recorder {
    /// The list of callbacks, which users may modify.
    #[pyo3(get)]
    callbacks: Py<PyAny>,
    #[pyo3(get)]
    max_lag: usize,
    owner: Option<Py<PyAny>>,
    /// Made when first needed, because making it may initialise the backend.
    reader: Option<Py<Reader>>,
    logs: Py<PyType>,
    plans: [Option<Arc<Plan>>; HOOKS.len()],
    /// The contents of `callbacks` when the plans were made.
    planned: Vec<Py<PyAny>>,
    order: Option<Arc<Order>>,
    /// The schema of logs to which `order` does not apply.
    flat: Option<Arc<Schema>>,
    /// The positions of a plan's columns in a schema.
    columns: Option<(Wanted, Arc<[usize]>)>,
    queue: Queue,
    /// Which thread drains the queue.
    turn: Arc<Turn>,
    /// The thread that trains: the one that has queued the last row or called `drain()`.
    thread: usize,
    pace: Pace,
    slow_hooks: SlowHooks,
    /// Where the time of the training goes; None unless a callback reports it.
    #[pyo3(get)]
    spent: Option<Py<Spent>>,
    /// The ordinal of the last batch.
    ordinal: u64,
    interrupted: bool,
    /// The exception of an action that ran in `drain_for_read()`; raised by the next hook.
    deferred_error: Option<PyErr>,
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
            spent: None,
            ordinal: 0,
            interrupted: false,
            deferred_error: None,
        }
    }

    #[setter]
    fn set_callbacks(slf: &Bound<'_, Self>, callbacks: Py<PyAny>) {
        let mut this = slf.borrow_mut();
        let old = std::mem::replace(&mut this.callbacks, callbacks);
        // Drop Python objects without a borrow, here and elsewhere: a `__del__` may call back.
        drop(this);
        drop(old);
    }

    /// Drains, and discards the plans: the next batch makes new ones.
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

    /// Reads all queued values and pushes the rows to their sinks. For the thread that trains only.
    fn drain(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.borrow_mut().thread = this_thread();
        Self::raise_deferred(slf)?;
        timed_wait(|| Self::drain_to(slf, 0))
    }

    /// Like `drain`, for the read of an attribute: the first exception of an action is raised by
    /// the next hook, others are dropped.
    ///
    /// Any thread may call this; it waits while another thread drains. Decisions, and the rows
    /// behind them, are left to the thread that trains. An action must not wait for a thread that
    /// calls this.
    ///
    /// Args:
    ///     last: Whether no hook follows; all exceptions are then dropped.
    #[pyo3(signature = (last=false))]
    fn drain_for_read(slf: &Bound<'_, Self>, last: bool) {
        while let Err(error) = timed_wait(|| Self::drain_to(slf, 0)) {
            let mut this = slf.borrow_mut();
            let dropped = if last || this.deferred_error.is_some() {
                Some(error)
            } else {
                this.deferred_error.replace(error)
            };
            drop(this);
            drop(dropped);
        }
        if last {
            let dropped = slf.borrow_mut().deferred_error.take();
            drop(dropped);
        }
    }

    /// The most batches by which a decision can be late: 0 where values are ready at once.
    #[getter(lag)]
    fn late_by(&self) -> usize {
        match &self.reader {
            Some(reader) if reader.get().at_once() => 0,
            _ => self.max_lag,
        }
    }

    /// How many rows are queued.
    #[getter]
    fn pending(&self) -> usize {
        self.queue.rows.len()
    }

    /// Whether to end the training after the current batch.
    #[setter]
    fn set_interrupted(&mut self, interrupted: bool) {
        self.interrupted = interrupted;
    }

    #[getter]
    fn interrupted(&self) -> bool {
        self.interrupted
    }

    #[setter]
    fn set_spent(slf: &Bound<'_, Self>, spent: Option<Py<Spent>>) {
        let old = std::mem::replace(&mut slf.borrow_mut().spent, spent);
        drop(old);
    }

    /// Resets the measured times of hooks, for another training.
    fn start_over(slf: &Bound<'_, Self>) {
        slf.borrow_mut().slow_hooks = SlowHooks::default();
        Self::set_spent(slf, None);
    }

    /// Each callback whose Python hooks were called, the share of the time of batches (0 to 1) that
    /// they took, and whether that warrants a warning.
    fn shares(&self, py: Python<'_>) -> Vec<(Py<PyAny>, f64, bool)> {
        let shares = self.slow_hooks.shares();
        shares
            .filter_map(|one| {
                // Higher indices belong to hooks of the list itself.
                let callback = self.planned.get(one.callback)?;
                Some((callback.clone_ref(py), one.share, one.slow))
            })
            .collect()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.callbacks)?;
        visit.call(&self.owner)?;
        visit.call(&self.spent)?;
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
        self.spent = None;
        self.planned.clear();
        self.plans = Default::default();
        self.queue = Queue::default();
    }
}

impl Recorder {
    /// A Python hook begins: None unless it is reported where the time goes.
    fn begin_spending(&self, py: Python<'_>, entry: &Entry, began: Instant) -> Option<RunningHook> {
        // Higher indices belong to hooks of the list itself.
        let callback = self.planned.get(entry.callback)?;
        Some(RunningHook::begin(
            py,
            self.spent.as_ref()?,
            callback,
            began,
        ))
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
