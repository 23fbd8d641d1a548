//! The interface between the recorder and its sinks.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::row::{Row, Share};
use crate::value::Reader;

/// Processes batches for a compiled callback, in place of its Python hook.
pub trait Sink: Send + Sync {
    /// What the sink needs of every batch that passes its gate. Called when its `Feed` is made.
    fn wants(&self, _py: Python<'_>) -> Wants {
        Wants::default()
    }

    /// Decides what to do with a batch that has just ended, before its values are read.
    fn gate(&self, batch: &Batch<'_, '_>) -> Gate;

    /// Takes a row. Rows of batches that did not pass the gate may be pushed too.
    fn push(&self, _py: Python<'_>, _row: &Row<'_>) -> Outcome {
        Outcome::Done
    }

    /// Inspects the logs dict that the Python hooks of the batch have received.
    fn look(&self, _logs: &Bound<'_, PyDict>) -> PyResult<()> {
        Ok(())
    }
}

/// What a sink needs of the batches.
#[derive(Debug, Default)]
pub struct Wants {
    /// Names of metrics. A step column of the same name replaces the metric.
    pub columns: Vec<String>,
    /// Whether the sink needs all metrics, and all step columns that it takes.
    pub rows: bool,
    /// Whether it needs the latter.
    pub steps: bool,
    /// Whether the sink needs the time of a batch.
    pub clock: bool,
    /// What kind of decision depends on the rows.
    pub decides: Decides,
    /// How many batches one row covers; 0 if the sink does not know.
    pub batches: usize,
}

/// What kind of decision depends on the rows of a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decides {
    #[default]
    Nothing,
    /// A decision that may come up to `max_lag` batches late.
    InTime,
    /// A decision about the current weights, which must not come late.
    AtOnce,
}

/// What a sink asks for after one batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    Shut,
    /// The row of the batch.
    Open,
    /// An immediate call of the action.
    Act,
    /// An immediate call of the callback's Python hook.
    Hook,
}

/// What to do after a row was pushed.
pub enum Outcome {
    Done,
    /// Call the action with the batch and its logs.
    Action,
    /// Call the action as above, then push the row to the sink again.
    Again,
    /// Call the action for each share, with its number and logs.
    Shares(Vec<Share>),
    /// Call the function with the text.
    Print(Py<PyAny>, String),
}

impl Outcome {
    /// Carries out the outcome. Returns whether to push the row to the sink again.
    pub fn carry_out(
        self,
        action: &Bound<'_, PyAny>,
        batch: &Bound<'_, PyAny>,
        row: &Row<'_>,
        reader: &Reader,
    ) -> PyResult<bool> {
        let py = action.py();
        let again = matches!(self, Self::Again);
        match self {
            Self::Done => {}
            Self::Action | Self::Again => {
                action.call1((batch, row.logs(py, reader)?))?;
            }
            Self::Shares(shares) => {
                for share in shares {
                    action.call1((share.number, row.share(py, reader, &share)?))?;
                }
            }
            Self::Print(print, text) => {
                print.call1(py, (text,))?;
            }
        }
        Ok(again)
    }
}

/// The batch that has just ended.
pub struct Batch<'a, 'py> {
    pub number: &'a Bound<'py, PyAny>,
    pub ordinal: u64,
    /// Seconds since 1970, estimated.
    pub now: f64,
    /// Whether the clock was read for this batch.
    pub clock_read: bool,
    /// How many batches of the call have values in the step columns.
    pub batches: usize,
}

/// The number of the next batch: unique and increasing across all recorders.
pub fn next_ordinal() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
