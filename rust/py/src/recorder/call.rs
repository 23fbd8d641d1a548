//! One call of a hook.

mod values;

use std::sync::Arc;
use std::time::Instant;

use fitwatch_core::timing::Activity;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::plan::{Entry, Kind, Plan};
use super::queue::QueuedRow;
use super::turn::this_thread;
use super::{HOOKS, Recorder};
use crate::row::{Schema, StepValues};
use crate::sink::{Batch, Decides, Gate, Wants, next_ordinal};
use crate::value::Cell;
use crate::value::wait_time::timed_call;

/// The state of a hook while it runs for one batch.
pub struct Call<'a, 'py> {
    recorder: &'a Bound<'py, Recorder>,
    /// Replaced when a Python hook changes the list of callbacks.
    pub plan: Arc<Plan>,
    hook: usize,
    /// The number of callbacks in the list.
    callbacks: usize,
    batch: Batch<'a, 'py>,
    /// The logs as passed by the training loop.
    source: Option<&'a Bound<'py, PyAny>>,
    /// The names and values of the logs in Keras's order, once they are needed.
    values: Option<(Arc<Schema>, Vec<Bound<'py, PyAny>>)>,
    /// The values of the step columns, once a sink needs them.
    steps: Option<StepValues>,
    /// The dict for Python hooks, once one is called.
    logs: Option<Bound<'py, PyDict>>,
    /// The number of writes to `logs` that the last row of this batch includes.
    writes: usize,
    /// The row of this batch with its cells, until it is queued.
    row: Option<(QueuedRow, Vec<Cell>)>,
    /// Whether it is in the queue, open.
    is_queued: bool,
    pub clock_read: bool,
    /// Whether a report of slow hooks is due.
    pub report_due: bool,
}

impl<'a, 'py> Call<'a, 'py> {
    pub fn new(
        recorder: &'a Bound<'py, Recorder>,
        plan: Arc<Plan>,
        hook: usize,
        batch: &'a Bound<'py, PyAny>,
        logs: Option<&'a Bound<'py, PyAny>>,
    ) -> Self {
        let ends = hook % 2 == 1;
        let mut this = recorder.borrow_mut();
        let (now, clock_read) = if ends {
            this.ordinal = next_ordinal();
            this.pace.tick(hook)
        } else {
            (0.0, false)
        };
        if plan.calls {
            this.slow_hooks.batch(hook / 2, ends);
        }
        Self {
            recorder,
            plan,
            hook,
            callbacks: this.planned.len(),
            batch: Batch {
                number: batch,
                ordinal: this.ordinal,
                now,
                clock_read,
                batches: 0,
            },
            source: logs,
            values: None,
            steps: None,
            logs: None,
            writes: 0,
            row: None,
            is_queued: false,
            clock_read,
            report_due: false,
        }
    }

    pub fn run(&mut self) -> PyResult<()> {
        let mut plan = self.plan.clone();
        let mut at = 0;
        while let Some(entry) = plan.entries.get(at) {
            if entry.callback >= self.callbacks {
                // Every callback has seen the batch: what follows may run hooks of the same list.
                self.close();
            }
            match &entry.kind {
                Kind::Call => self.timed(entry)?,
                Kind::Feed { feed, action } => {
                    let feed = feed.get();
                    if let Some(logs) = &self.logs {
                        feed.sink.look(logs)?;
                    }
                    self.batch.batches = match feed.steps {
                        Some(_) => self.steps()?.taken(feed.mask).batches,
                        None => 0,
                    };
                    match feed.sink.gate(&self.batch) {
                        Gate::Shut => {}
                        Gate::Open => self.enqueue(at, &feed.wants)?,
                        Gate::Act => {
                            self.send();
                            let logs = self.logs()?;
                            action.bind(self.py()).call1((self.batch.number, logs))?;
                        }
                        Gate::Hook => self.call(entry)?,
                    }
                }
            }
            at += 1;
            if plan.calls && self.recorder.borrow().changed(self.py()) {
                // Keras iterates over the live list, so changes take effect within the batch.
                self.close();
                self.plan = Recorder::plan(self.recorder, self.hook)?;
                self.callbacks = self.recorder.borrow().planned.len();
                at = self
                    .plan
                    .entries
                    .partition_point(|next| next.callback <= entry.callback);
                plan = self.plan.clone();
                self.steps = None;
            }
        }
        Ok(())
    }

    fn py(&self) -> Python<'py> {
        self.recorder.py()
    }

    /// Calls the Python hook of a callback, with the same arguments as Keras.
    fn call(&mut self, entry: &Entry) -> PyResult<()> {
        self.send();
        let py = self.py();
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "logs"), self.logs()?)?;
        let hook = entry.hook.bind(py);
        hook.call((self.batch.number,), Some(&keywords))?;
        Ok(())
    }

    /// Calls the Python hook and measures how long it takes.
    fn timed(&mut self, entry: &Entry) -> PyResult<()> {
        // Make the logs first: that is not the hook's own time.
        self.logs()?;
        let began = Instant::now();
        let running = self
            .recorder
            .borrow()
            .begin_spending(self.py(), entry, began);
        let (result, waited) = timed_call(|| self.call(entry));
        let times = (began, Instant::now());
        if let Some(running) = running {
            let awaited = match HOOKS[self.hook] {
                "on_test_batch_begin" | "on_test_batch_end" => Activity::Validation,
                _ => Activity::Steps,
            };
            running.end(self.py(), times.1, (awaited, waited));
        }
        let mut recorder = self.recorder.borrow_mut();
        let hooks = &mut recorder.slow_hooks;
        self.report_due |= hooks.called(self.hook / 2, entry.callback, times, waited);
        result
    }

    /// The dict for Python hooks, shared by all hooks of this batch.
    fn logs(&mut self) -> PyResult<Bound<'py, PyDict>> {
        if let Some(logs) = &self.logs {
            return Ok(logs.clone());
        }
        let py = self.py();
        let logs = self.recorder.borrow().logs.bind(py).call0()?;
        let logs = logs.cast_into::<PyDict>()?;
        let reader = Recorder::reader(self.recorder)?;
        let (schema, values) = self.values()?;
        for (name, value) in schema.names.iter().zip(values) {
            // A mutable value is read now; an immutable array is kept unread.
            match reader.get().capture(value)? {
                Cell::Number(number) => logs.set_item(name, number)?,
                Cell::Array(kept, _) | Cell::Other(kept) => logs.set_item(name, kept)?,
                Cell::Slot(_) => logs.set_item(name, value)?,
                Cell::Unwanted => {}
            }
        }
        self.logs = Some(logs.clone());
        Ok(logs)
    }

    /// Queues the row of the batch for the plan entry `at`.
    fn enqueue(&mut self, at: usize, wants: &Wants) -> PyResult<()> {
        if let Some(logs) = self.logs.clone() {
            let writes = logs.getattr(intern!(self.py(), "_writes"))?.extract()?;
            if writes != self.writes {
                // A callback has modified the logs: later entries get a new row.
                self.close();
                self.writes = writes;
                let schema = Recorder::schema_of(self.recorder, &logs);
                self.values = Some((schema, logs.values().iter().collect()));
            }
        }
        if self.row.is_none() && !self.is_queued {
            self.begin(at)?;
        }
        let add = |row: &mut QueuedRow| {
            row.entries.end = at + 1;
            row.whole |= wants.rows;
        };
        if let Some((row, _)) = &mut self.row {
            add(row);
        } else if let Some(row) = Recorder::with_queue(self.recorder)
            .queue
            .open(self.batch.ordinal)
        {
            add(row);
        }
        if wants.decides > Decides::Nothing && self.recorder.borrow().lag(&self.plan) == 0 {
            // Decide before the callbacks that follow in the list.
            self.send();
            Recorder::drain_to(self.recorder, 0)?;
        }
        Ok(())
    }

    /// Makes the row, for the plan entries from `at` on.
    fn begin(&mut self, at: usize) -> PyResult<()> {
        self.values()?;
        self.steps()?;
        let (Some((schema, values)), Some(steps)) = (&self.values, &self.steps) else {
            return Ok(());
        };
        let reader = Recorder::reader(self.recorder)?;
        let columns = self
            .recorder
            .borrow_mut()
            .columns(&self.plan, schema, steps);
        let mut cells = Vec::with_capacity(values.len() + steps.batches * steps.layout.len());
        for (place, value) in values.iter().enumerate() {
            cells.push(if self.plan.rows || columns.contains(&place) {
                reader.get().capture(value)?
            } else {
                Cell::Unwanted
            });
        }
        if let Some(columns) = &self.plan.steps {
            let capture = |value: &Bound<'_, PyAny>| reader.get().capture(value);
            columns
                .get()
                .cells(self.py(), steps, &mut cells, capture, |_| true)?;
        }
        let row = QueuedRow {
            plan: self.plan.clone(),
            entries: at..at,
            open: true,
            decided: None,
            whole: false,
            columns,
            steps: steps.layout.clone(),
            batches: steps.batches,
            batch: self.batch.number.clone().unbind(),
            ordinal: self.batch.ordinal,
            now: self.batch.now,
            schema: schema.clone(),
        };
        self.recorder.borrow_mut().thread = this_thread();
        self.row = Some((row, cells));
        Ok(())
    }

    /// Queues the row: before Python code runs, which may read what depends on it.
    fn send(&mut self) {
        if let Some((row, cells)) = self.row.take() {
            let queue = &mut Recorder::with_queue(self.recorder).queue;
            queue.rows.push_back(row);
            queue.cells.extend(cells);
            self.is_queued = true;
        }
    }

    /// Queues the row of this batch, if there is one, and closes it.
    pub fn close(&mut self) {
        if let Some((row, _)) = &mut self.row {
            row.open = false;
            self.send();
        } else if self.is_queued
            && let Some(open) = Recorder::with_queue(self.recorder)
                .queue
                .open(self.batch.ordinal)
        {
            open.open = false;
        }
        self.is_queued = false;
    }
}
