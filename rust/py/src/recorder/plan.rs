//! The plan of a hook: which callbacks take part in it, and how.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::row::StepColumns;
use crate::sink::Decides;
use crate::sinks::Feed;

/// What a hook does for one callback.
pub struct Entry {
    pub kind: Kind,
    /// The callback's Python hook, bound.
    pub hook: Py<PyAny>,
    /// The callback's index in the list; higher ones belong to hooks of the list itself.
    pub callback: usize,
}

pub enum Kind {
    /// Call the Python hook.
    Call,
    /// Feed the batch to a sink. The action is a Python function of a batch (or step) and logs.
    Feed { feed: Py<Feed>, action: Py<PyAny> },
}

/// The callbacks that take part in a hook, in the order of the list.
#[derive(Default)]
pub struct Plan {
    /// Unique, unlike the address, which may be reused.
    pub id: u64,
    pub entries: Vec<Entry>,
    /// The metrics that sinks need by name, each with the mask of the step columns that replace it.
    pub columns: Vec<(String, u8)>,
    /// The step columns, if a sink needs them.
    pub steps: Option<Py<StepColumns>>,
    /// Whether a sink needs all metrics.
    pub rows: bool,
    /// The most urgent kind of decision that depends on rows.
    pub decides: Decides,
    /// How many batches one row covers; 0 if no sink knows.
    pub batches: usize,
    /// Whether any Python hook is called.
    pub calls: bool,
}

impl Plan {
    /// Builds a plan from the planner's items, one per callback: its index in the list, its Python
    /// hook, and either None to call that hook or a pair of a sink (or a `Feed`) and its action.
    pub fn new(planned: &Bound<'_, PyAny>) -> PyResult<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let py = planned.py();
        let mut plan = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            ..Self::default()
        };
        for item in planned.try_iter()? {
            let (callback, hook, compiled): (usize, Bound<'_, PyAny>, Option<Bound<'_, PyTuple>>) =
                item?.extract()?;
            let kind = match compiled {
                None => {
                    plan.calls = true;
                    Kind::Call
                }
                Some(pair) => {
                    let (sink, action): (Bound<'_, PyAny>, Py<PyAny>) = pair.extract()?;
                    let feed = match sink.cast_into::<Feed>() {
                        Ok(feed) => feed,
                        Err(other) => Bound::new(py, Feed::new(&other.into_inner(), None, 0)?)?,
                    };
                    plan.add(py, feed.get());
                    let feed = feed.unbind();
                    Kind::Feed { feed, action }
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

    /// Adds the needs of a sink.
    fn add(&mut self, py: Python<'_>, feed: &Feed) {
        let wants = &feed.wants;
        let columns = wants.columns.iter().cloned();
        self.columns.extend(columns.map(|name| (name, feed.mask)));
        if self.steps.is_none() {
            self.steps = feed.steps.as_ref().map(|steps| steps.clone_ref(py));
        }
        self.rows |= wants.rows;
        self.batches = self.batches.max(wants.batches);
        self.decides = self.decides.max(wants.decides);
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.steps)?;
        for entry in &self.entries {
            visit.call(&entry.hook)?;
            if let Kind::Feed { feed, action } = &entry.kind {
                visit.call(action)?;
                visit.call(feed)?;
            }
        }
        Ok(())
    }
}
