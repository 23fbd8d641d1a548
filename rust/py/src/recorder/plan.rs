//! Which callbacks have to do with a hook, and how.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::sink::Decides;
use crate::sinks::Sink;

/// What a hook does for one callback.
pub struct Entry {
    pub kind: Kind,
    /// The callback's Python hook, bound.
    pub hook: Py<PyAny>,
    /// The callback's place in the list.
    pub callback: usize,
}

pub enum Kind {
    /// Calls the Python hook.
    Call,
    /// Shows the batch to a sink; its action is a Python function of a batch (or step) and logs.
    Sink { sink: Sink, action: Py<PyAny> },
}

/// The callbacks that have to do with a hook, in the order of the list.
#[derive(Default)]
pub struct Plan {
    /// Unlike the address, never used twice.
    pub id: u64,
    pub entries: Vec<Entry>,
    /// The columns that are wanted where no whole row is.
    pub columns: Vec<String>,
    /// The columns that are wanted only where the losses of batches could not be taken.
    pub instead: Vec<String>,
    /// Where the losses of a call's batches are found, if somebody wants them.
    pub losses: Option<Py<PyAny>>,
    /// Whether a whole row may be wanted.
    pub rows: bool,
    /// The most urgent thing that depends on rows.
    pub decides: Decides,
    /// How many batches a row stands for.
    pub steps: usize,
    /// Whether a Python hook is called.
    pub calls: bool,
}

impl Plan {
    /// A plan of what the planner gave, for each callback: its place in the list, its Python hook,
    /// and None to call that or a pair of a sink and its action.
    pub fn new(planned: &Bound<'_, PyAny>) -> PyResult<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut plan = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            ..Self::default()
        };
        for item in planned.try_iter()? {
            let item = item?;
            let (callback, hook, compiled): (usize, Bound<'_, PyAny>, Option<Bound<'_, PyTuple>>) =
                item.extract()?;
            let kind = match compiled {
                None => {
                    plan.calls = true;
                    Kind::Call
                }
                Some(pair) => {
                    let (sink, action): (Sink, Py<PyAny>) = pair.extract()?;
                    let losses = sink.losses(item.py());
                    for column in sink.columns(item.py()) {
                        if losses.is_some() && column == "loss" {
                            plan.instead.push(column);
                        } else {
                            plan.columns.push(column);
                        }
                    }
                    plan.losses = plan.losses.take().or(losses);
                    plan.rows |= sink.wants_rows();
                    plan.steps = plan.steps.max(sink.steps(item.py()));
                    plan.decides = plan.decides.max(sink.decides(item.py()));
                    Kind::Sink { sink, action }
                }
            };
            plan.entries.push(Entry {
                kind,
                hook: hook.unbind(),
                callback,
            });
        }
        Ok(plan)
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.losses)?;
        for entry in &self.entries {
            visit.call(&entry.hook)?;
            if let Kind::Sink { sink, action } = &entry.kind {
                visit.call(action)?;
                sink.traverse(visit)?;
            }
        }
        Ok(())
    }
}
