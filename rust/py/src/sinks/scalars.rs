//! Scalars of an event file for batches.

use std::collections::VecDeque;

use fitwatch_core::files::event_file::Template;
use pyo3::prelude::*;

use super::Counter;
use crate::files::EventFile;
use crate::row::{Row, Share, Source};
use crate::sink::{Batch, Gate, Outcome, Sink, Wants};
use crate::value::Cell;

/// Writes all values of every `every`-th batch to an event file.
///
/// If the step columns have values, these are written at the steps of their own batches, and the
/// metrics at the last step that is due. If a value is not a number, the action is called instead.
///
/// Args:
///     counter: The counter of batches. Its count is the step of a value.
///     every: The number of batches between two steps that are written.
///     file: The file to write to; None calls the action instead.
///     prefix: A prefix of the tags, before the name of the metric.
#[pyclass(module = "fitwatch._core")]
pub struct Scalars {
    counter: Py<Counter>,
    every: i64,
    file: Option<Py<EventFile>>,
    prefix: String,
    /// The calls that are due: ordinal and last step.
    due: VecDeque<(u64, i64)>,
    /// The tags of the metrics, for rows of this layout.
    tags: Option<((u64, u64), Vec<Tag>)>,
}

/// A tag, and where its value comes from.
type Tag = (Template, Source);

#[pymethods]
impl Scalars {
    #[new]
    fn new(counter: Py<Counter>, every: i64, file: Option<Py<EventFile>>, prefix: String) -> Self {
        Self {
            counter,
            every: every.max(1),
            file,
            prefix,
            due: VecDeque::new(),
            tags: None,
        }
    }
}

impl Scalars {
    /// The last step up to `step` that is due.
    fn last_due(&self, step: i64) -> i64 {
        step.div_euclid(self.every) * self.every
    }

    /// The steps of a call that are due; `last` is the last step of the call.
    fn shares(&self, last: i64, batches: usize) -> Vec<Share> {
        let count = i64::try_from(batches).unwrap_or(0).max(1);
        (last - count + 1..=last)
            .zip(0..)
            .filter(|(step, _)| step % self.every == 0)
            .map(|(number, place)| Share {
                number,
                place,
                last: number == self.last_due(last),
                missing: None,
            })
            .collect()
    }

    /// Finds the tags. Returns `false` if the name of a metric is not a string.
    fn find_tags(&mut self, row: &Row<'_>) -> bool {
        if matches!(&self.tags, Some((layout, _)) if *layout == row.layout()) {
            return true;
        }
        let template = |name: &str| Template::new(&format!("{}{name}", self.prefix));
        let metric = |(at, name): (usize, Option<&str>)| {
            let source = row
                .steps
                .position(name?)
                .map_or(Source::Metric(at), Source::Step);
            Some((template(name?), source))
        };
        let additional = row
            .additional()
            .map(|(at, name)| Some((template(name), Source::Step(at))));
        let metrics = row.schema.texts().enumerate().map(metric);
        let tags = metrics.chain(additional).collect::<Option<_>>();
        self.tags = tags.map(|tags| (row.layout(), tags));
        self.tags.is_some()
    }
}

impl Sink for Py<Scalars> {
    fn wants(&self, _py: Python<'_>) -> Wants {
        Wants {
            rows: true,
            clock: true,
            ..Wants::default()
        }
    }

    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        let py = batch.number.py();
        let this = &mut *self.borrow_mut(py);
        // The counter has counted the call as one batch.
        let more = i64::try_from(batch.batches.saturating_sub(1)).unwrap_or(0);
        let last = {
            let mut counter = this.counter.borrow_mut(py);
            counter.count += more;
            counter.count
        };
        if this.last_due(last) < last - more {
            return Gate::Shut;
        }
        this.due.push_back((batch.ordinal, last));
        Gate::Open
    }

    fn push(&self, py: Python<'_>, row: &Row<'_>) -> Outcome {
        let mut guard = self.borrow_mut(py);
        let this = &mut *guard;
        let Some(last) = super::kept(&mut this.due, row.ordinal) else {
            return Outcome::Done;
        };
        let shares = this.shares(last, row.batches());
        let file = this.file.as_ref().map(|file| file.clone_ref(py));
        let (Some(file), true, true) = (file, this.find_tags(row), row.is_numeric()) else {
            return Outcome::Shares(shares);
        };
        let file = file.get();
        let tags = this.tags.iter().flat_map(|known| &known.1);
        for (template, source) in tags {
            for share in &shares {
                let value = match *source {
                    Source::Step(at) => row.step_at(at, share.place),
                    Source::Metric(at) => match row.cell(at) {
                        Cell::Number(value) if share.last => Some(*value),
                        _ => None,
                    },
                };
                if let Some(value) = value {
                    file.add(template, value, share.number, row.now);
                }
            }
        }
        drop(guard);
        file.attend(py);
        Outcome::Done
    }
}
