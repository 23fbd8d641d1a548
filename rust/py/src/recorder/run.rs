//! The run of a hook: its plan, its call and the drain.

use std::sync::Arc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::call::Call;
use super::plan::Plan;
use super::queue::Queue;
use super::turn::this_thread;
use super::{HOOKS, LONGEST, Recorder};
use crate::row::{Schema, StepValues};
use crate::sink::Decides;
use crate::value::Reader;

/// Takes the queue out of the recorder for a drain; its `Drop` puts it back, also after a panic.
struct Drain<'a, 'py> {
    recorder: &'a Bound<'py, Recorder>,
    queue: Queue,
    /// Whether this thread carries out decisions.
    decides: bool,
}

impl<'a, 'py> Drain<'a, 'py> {
    fn begin(recorder: &'a Bound<'py, Recorder>) -> Self {
        let mut this = Recorder::with_queue(recorder);
        this.turn.begin();
        Self {
            recorder,
            queue: std::mem::take(&mut this.queue),
            decides: this.thread == this_thread(),
        }
    }
}

impl Drop for Drain<'_, '_> {
    fn drop(&mut self) {
        let mut this = self.recorder.borrow_mut();
        let newer = std::mem::replace(&mut this.queue, std::mem::take(&mut self.queue));
        this.queue.append(newer);
        this.turn.end();
    }
}

impl Recorder {
    /// Runs one hook for one batch.
    pub(super) fn run<'py>(
        slf: &Bound<'py, Self>,
        hook: usize,
        batch: &Bound<'py, PyAny>,
        logs: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let ends = hook % 2 == 1;
        if slf.borrow().is_idle(slf.py(), hook) {
            return Ok(());
        }
        let result = Self::plan(slf, hook).and_then(|plan| {
            Self::raise_deferred(slf)?;
            if plan.entries.is_empty() {
                return Ok(());
            }
            let mut call = Call::new(slf, plan, hook, batch, logs);
            let result = call.run();
            call.close();
            result?;
            if call.report_due {
                Self::tell(slf, intern!(slf.py(), "_report"))?;
            }
            if ends {
                Self::drain_if_due(slf, &call.plan, call.clock_read)?;
            }
            Ok(())
        });
        let py = slf.py();
        match result {
            Ok(()) if ends && slf.borrow().interrupted => {
                slf.borrow_mut().interrupted = false;
                Self::tell(slf, intern!(py, "_interrupted"))
            }
            Ok(()) => Ok(()),
            Err(error) => {
                // The user must see the first exception, not one that is raised while handling it.
                if let Err(second) = Self::tell(slf, intern!(py, "_failed")) {
                    second.write_unraisable(py, None);
                }
                Err(error)
            }
        }
    }

    /// Whether a hook has nothing to do. This is the fast path.
    fn is_idle(&self, py: Python<'_>, hook: usize) -> bool {
        self.plans[hook]
            .as_ref()
            .is_some_and(|plan| plan.entries.is_empty())
            && !self.interrupted
            && self.deferred_error.is_none()
            && !self.changed(py)
    }

    /// Calls a method of the owner.
    fn tell(slf: &Bound<'_, Self>, method: &Bound<'_, PyString>) -> PyResult<()> {
        let owner = slf.borrow().owner(slf.py());
        if let Some(owner) = owner {
            owner.call_method0(slf.py(), method)?;
        }
        Ok(())
    }

    /// Raises the deferred exception of an action that ran in `drain_for_read()`.
    pub(super) fn raise_deferred(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.borrow().deferred_error.is_none() {
            return Ok(());
        }
        let error = slf.borrow_mut().deferred_error.take();
        error.map_or(Ok(()), Err)
    }

    /// The plan of a hook, made again if the callbacks have changed.
    pub(super) fn plan(slf: &Bound<'_, Self>, hook: usize) -> PyResult<Arc<Plan>> {
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
            Self::drain_to(slf, 0)?;
            let callbacks = slf.borrow().callbacks.clone_ref(py);
            let planned: PyResult<Vec<_>> = callbacks
                .bind(py)
                .try_iter()?
                .map(|item| item.map(Bound::unbind))
                .collect();
            let planned = planned?;
            let mut this = slf.borrow_mut();
            this.slow_hooks.forget_callbacks();
            let old = (
                std::mem::replace(&mut this.planned, planned),
                std::mem::take(&mut this.plans),
            );
            drop(this);
            drop(old);
        }
        let owner = slf.borrow().owner(py);
        let plan = match owner {
            Some(owner) => {
                let planned = owner.call_method1(py, intern!(py, "_plan"), (HOOKS[hook],))?;
                Arc::new(Plan::new(planned.bind(py))?)
            }
            None => Arc::default(),
        };
        if let Some(steps) = &plan.steps {
            // Half of the delay that a decision may have; the other half is for the transfer.
            let lag = slf.borrow().lag(&plan) * plan.batches.max(1);
            let decides = plan.decides > Decides::Nothing;
            let interval = if decides {
                (lag / 2).max(1)
            } else {
                usize::MAX
            };
            steps.get().set_interval(interval);
        }
        let old = slf.borrow_mut().plans[hook].replace(plan.clone());
        drop(old);
        Ok(plan)
    }

    /// Whether the list of callbacks has changed since the plans were made.
    pub(super) fn changed(&self, py: Python<'_>) -> bool {
        let Ok(list) = self.callbacks.bind(py).cast::<PyList>() else {
            // Not a list: changes are not detected, so plan every time.
            return true;
        };
        list.len() != self.planned.len()
            || self
                .planned
                .iter()
                .enumerate()
                .any(|(at, planned)| !list.get_item(at).is_ok_and(|now| planned.is(&now)))
    }

    pub(super) fn owner(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.owner.as_ref().map(|owner| owner.clone_ref(py))
    }

    /// The reader of the backend's values.
    pub(super) fn reader(slf: &Bound<'_, Self>) -> PyResult<Py<Reader>> {
        let py = slf.py();
        if let Some(reader) = &slf.borrow().reader {
            return Ok(reader.clone_ref(py));
        }
        let Some(owner) = slf.borrow().owner(py) else {
            return Err(PyRuntimeError::new_err("the callback list is gone"));
        };
        let reader = owner.call_method0(py, intern!(py, "_reader"))?;
        let reader: Py<Reader> = reader.extract(py).map_err(PyErr::from)?;
        let old = slf.borrow_mut().reader.replace(reader.clone_ref(py));
        drop(old);
        Ok(reader)
    }

    /// How many rows may stay queued although a decision depends on them.
    pub(super) fn lag(&self, plan: &Plan) -> usize {
        if plan.decides == Decides::AtOnce {
            return 0;
        }
        match &self.reader {
            // Values are ready as soon as a batch ends, so no row has to wait.
            Some(reader) if reader.get().at_once() => 0,
            _ => {
                // A call that trains several batches already delays their decisions.
                let batches = plan.batches.max(1);
                self.max_lag.saturating_sub(batches - 1) / batches
            }
        }
    }

    fn drain_if_due(slf: &Bound<'_, Self>, plan: &Plan, clock_read: bool) -> PyResult<()> {
        let may_wait = {
            let this = slf.borrow();
            let pending = this.queue.rows.len();
            if pending == 0 {
                return Ok(());
            }
            let lag = if plan.decides > Decides::Nothing {
                this.lag(plan)
            } else {
                LONGEST
            };
            if pending <= lag && !clock_read {
                return Ok(());
            }
            lag
        };
        Self::drain_to(slf, may_wait)
    }

    pub(super) fn drain_to(slf: &Bound<'_, Self>, may_wait: usize) -> PyResult<()> {
        {
            let this = slf.borrow();
            let nothing = this.queue.rows.is_empty() && !this.turn.is_anothers();
            if nothing || this.turn.is_mine() {
                return Ok(());
            }
        }
        let reader = Self::reader(slf)?;
        let mut drain = Drain::begin(slf);
        // No borrow is held here: a sink's action may run hooks of the same list.
        drain
            .queue
            .drain(slf.py(), reader.get(), may_wait, drain.decides)
    }

    /// Borrows the recorder, once no other thread drains its queue.
    pub(super) fn with_queue<'py>(slf: &Bound<'py, Self>) -> PyRefMut<'py, Self> {
        loop {
            let this = slf.borrow_mut();
            if !this.turn.is_anothers() {
                return this;
            }
            let turn = this.turn.clone();
            drop(this);
            turn.wait(slf.py());
        }
    }

    /// The schema of flat logs in their own order: logs that were nested, or that a callback has
    /// modified. Usually that of the previous batch.
    pub(super) fn schema_of(slf: &Bound<'_, Self>, logs: &Bound<'_, PyDict>) -> Arc<Schema> {
        let known = slf.borrow().flat.clone();
        match known {
            Some(schema) if schema.is_of(logs) => schema,
            _ => {
                let schema = Schema::new(logs.keys().iter().collect());
                let old = slf.borrow_mut().flat.replace(schema.clone());
                drop(old);
                schema
            }
        }
    }

    /// The positions of a plan's columns in a schema, without those that step columns replace.
    pub(super) fn columns(
        &mut self,
        plan: &Plan,
        schema: &Schema,
        steps: &StepValues,
    ) -> Arc<[usize]> {
        let key = (plan.id, schema.id, steps.id());
        if let Some((last, columns)) = &self.columns
            && *last == key
        {
            return columns.clone();
        }
        let names = plan.columns.iter();
        let needed = names.filter(|(name, mask)| steps.taken(*mask).position(name).is_none());
        let columns: Arc<[usize]> = needed
            .filter_map(|(name, _)| schema.position(name))
            .collect();
        self.columns = Some((key, columns.clone()));
        columns
    }
}
