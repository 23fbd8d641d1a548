//! Batches whose hooks run later, many of them in a row.
//!
//! Between two batches the processor's caches fill with the backend's code and data, which makes a
//! hook several times as slow as in a loop of hooks. Where no callback runs Python code for a batch,
//! and the values leave the train step in blocks that are read later anyway, the hooks of training
//! batches only note the batch.

use std::collections::VecDeque;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::call::Call;
use super::plan::Plan;
use super::turn::this_thread;
use super::{LONGEST, Recorder};
use crate::row::StepValues;
use crate::sink::{Decides, next_ordinal};
use crate::value::Cell;

/// The maximum number of batches whose hooks are deferred.
const MOST: usize = 16;

/// The hooks that can be deferred, by their indices.
const BEGIN: usize = 0;
const END: usize = 1;

/// A hook that runs later: its arguments, and what belonged to the batch when it was called.
pub struct Deferred {
    pub hook: usize,
    pub batch: Py<PyAny>,
    pub logs: Option<Py<PyAny>>,
    pub ordinal: u64,
    pub now: f64,
    pub clock_read: bool,
    /// The step columns; their values are in `Noted::cells`.
    pub steps: StepValues,
}

/// Hooks in the order of their calls.
#[derive(Default)]
struct Noted {
    hooks: VecDeque<Deferred>,
    /// The values of the step columns of the first batch, then those of the second, and so on.
    cells: VecDeque<Cell>,
}

/// The hooks that run later.
#[derive(Default)]
pub struct Deferral {
    noted: Noted,
    /// How many batches of them have ended.
    batches: usize,
    /// After how many batches they run; 0 if hooks are not deferred.
    every: usize,
}

impl Deferral {
    pub fn batches(&self) -> usize {
        self.batches
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for one in &self.noted.hooks {
            visit.call(&one.batch)?;
            visit.call(&one.logs)?;
        }
        Ok(())
    }
}

/// Takes the hooks out of the recorder to run them; its `Drop` puts back those that an exception has
/// left, also after a panic. Other threads wait meanwhile, as for a drain.
struct Run<'a, 'py> {
    recorder: &'a Bound<'py, Recorder>,
    noted: Noted,
}

impl<'a, 'py> Run<'a, 'py> {
    fn begin(recorder: &'a Bound<'py, Recorder>) -> Self {
        let mut this = Recorder::with_queue(recorder);
        this.turn.begin();
        this.deferral.batches = 0;
        let noted = std::mem::take(&mut this.deferral.noted);
        Self { recorder, noted }
    }
}

impl Drop for Run<'_, '_> {
    fn drop(&mut self) {
        let mut this = self.recorder.borrow_mut();
        let newer = &mut this.deferral.noted;
        self.noted.hooks.append(&mut newer.hooks);
        self.noted.cells.append(&mut newer.cells);
        *newer = std::mem::take(&mut self.noted);
        this.turn.end();
    }
}

impl Recorder {
    /// Determines whether hooks are deferred, after one of them was planned.
    pub(super) fn plan_deferral(&mut self) {
        let [begin, end] = [BEGIN, END].map(|hook| self.plans[hook].as_ref());
        self.deferral.every = match (begin, end) {
            (Some(begin), Some(end)) if begin.can_wait() && end.can_wait() => self.rows(end),
            _ => 0,
        };
    }

    /// How many batches are deferred: as many as are read together, and none unless that is some.
    fn rows(&self, plan: &Plan) -> usize {
        let Some(steps) = &plan.steps else { return 0 };
        let rows = steps.get().interval().min(MOST) / plan.batches.max(1);
        // While one block is noted, the one before it is transferred.
        let in_time = plan.decides == Decides::Nothing || 2 * rows <= self.lag(plan);
        if rows > 1 && in_time { rows } else { 0 }
    }

    /// Notes a hook. Returns `false` if it has to run now, after those that were noted.
    pub(super) fn note(
        &mut self,
        hook: usize,
        batch: &Bound<'_, PyAny>,
        logs: Option<&Bound<'_, PyAny>>,
    ) -> bool {
        let (py, deferral) = (batch.py(), &mut self.deferral);
        // The callbacks are compared with those planned when the hooks run; nothing that could
        // replace one runs before.
        let list = self.callbacks.bind(py).cast::<PyList>();
        if deferral.every == 0
            || hook > END
            || self.interrupted
            || self.deferred_error.is_some()
            || !list.is_ok_and(|list| list.len() == self.planned.len())
        {
            return false;
        }
        let mut steps = StepValues::none();
        let (mut now, mut clock_read) = (0.0, false);
        if hook == END {
            let Some(columns) = self.plans[END]
                .as_ref()
                .and_then(|plan| plan.steps.as_ref())
            else {
                return false;
            };
            let Some(taken) = columns.get().take(&mut deferral.noted.cells) else {
                return false;
            };
            steps = taken;
            self.thread = this_thread();
            self.ordinal = next_ordinal();
            (now, clock_read) = self.pace.tick(hook);
            deferral.batches += 1;
        }
        deferral.noted.hooks.push_back(Deferred {
            hook,
            batch: batch.clone().unbind(),
            logs: logs.map(|logs| logs.clone().unbind()),
            ordinal: self.ordinal,
            now,
            clock_read,
            steps,
        });
        true
    }

    /// Whether the hooks that were noted have to run. The clock is read after 64 batches at most,
    /// and after each batch if they are slow.
    pub(super) fn must_run(&self) -> bool {
        let noted = &self.deferral.noted.hooks;
        self.deferral.batches >= self.deferral.every || noted.back().is_some_and(|it| it.clock_read)
    }

    /// Runs the hooks that were noted.
    pub(super) fn run_noted(slf: &Bound<'_, Self>) -> PyResult<()> {
        {
            let this = slf.borrow();
            if this.deferral.noted.hooks.is_empty() || this.turn.is_mine() {
                return Ok(());
            }
        }
        let py = slf.py();
        let mut plans = [BEGIN, END].map(|hook| slf.borrow().plans[hook].clone());
        let mut run = Run::begin(slf);
        while let Some(mut one) = run.noted.hooks.pop_front() {
            let count = one.steps.batches * one.steps.layout.len();
            let taken = (0..count).map_while(|_| run.noted.cells.pop_front());
            let cells = taken.collect();
            let plan = match plans[one.hook].take() {
                Some(plan) => plan,
                None => Self::plan(slf, one.hook)?,
            };
            let logs = one.logs.take().map(|logs| logs.into_bound(py));
            let batch = one.batch.clone_ref(py).into_bound(py);
            let hook = one.hook;
            let mut call = Call::deferred(slf, plan, one, cells, &batch, logs.as_ref());
            let result = call.run();
            call.close();
            plans[hook] = Some(call.plan);
            result?;
        }
        drop(run);
        let this = slf.borrow();
        let every = this.deferral.every;
        let may_wait = match &this.plans[END] {
            // The hooks that will be noted next are not in the queue, but as late.
            Some(plan) if plan.decides > Decides::Nothing => this.lag(plan).saturating_sub(every),
            _ => LONGEST,
        };
        let changed = this.changed(py);
        drop(this);
        if changed {
            slf.borrow_mut().deferral.every = 0;
        }
        Self::drain_to(slf, may_wait)
    }
}
