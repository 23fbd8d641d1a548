//! How a hook runs: the plan, the call, the drain.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::call::Call;
use super::plan::Plan;
use super::schema::Schema;
use super::{HOOKS, LONGEST, Recorder};

impl Recorder {
    /// One hook of one batch.
    pub(super) fn run<'py>(
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

    pub(super) fn drain_to(slf: &Bound<'_, Self>, may_wait: usize) -> PyResult<()> {
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

    /// The schema of logs that a callback has written to: as a rule the one of the batch before.
    pub(super) fn written_schema(&mut self, logs: &Bound<'_, PyDict>) -> Arc<Schema> {
        match &self.written {
            Some(schema) if schema.is_of(logs) => schema.clone(),
            _ => {
                let schema = Schema::new(logs.keys().iter().collect());
                self.written.insert(schema).clone()
            }
        }
    }

    /// Where the plan's columns are in a schema.
    pub(super) fn columns(&mut self, plan: &Arc<Plan>, schema: &Schema) -> Arc<[usize]> {
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
