//! What a recorder and its sinks say to each other.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::row::{Row, Share};
use crate::value::Reader;

/// What a compiled callback does with batches, instead of a Python hook.
pub trait Sink: Send + Sync {
    /// What it wants of every batch that its gate lets through; asked once for a plan.
    fn wants(&self, _py: Python<'_>) -> Wants {
        Wants::default()
    }

    /// Whether it wants anything of a batch that has ended, before the values are there.
    fn gate(&self, batch: &Batch<'_, '_>) -> Gate;

    /// Takes a row: of a batch that its gate has let through, or of another.
    fn push(&self, _py: Python<'_>, _row: &Row<'_>) -> Outcome {
        Outcome::Done
    }

    /// Looks at the dict that the Python hooks of a batch have been given.
    fn look(&self, _logs: &Bound<'_, PyDict>) -> PyResult<()> {
        Ok(())
    }
}

/// What a sink wants of the batches.
#[derive(Debug, Default)]
pub struct Wants {
    /// Metrics, by name; where a step column of that name was taken, that one in its place.
    pub columns: Vec<String>,
    /// Whether it wants all metrics.
    pub rows: bool,
    /// What depends on the rows.
    pub decides: Decides,
    /// How many batches a row stands for, as far as the sink knows.
    pub batches: usize,
}

/// What depends on the rows of a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decides {
    #[default]
    Nothing,
    /// A decision, which may come late.
    InTime,
    /// A decision about the weights as they are.
    AtOnce,
}

/// What a sink wants of one batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    Shut,
    /// Its row.
    Open,
    /// That its action is carried out now.
    Act,
    /// That the callback's Python hook is called now.
    Hook,
}

/// What is to be done about a row, if anything.
pub enum Outcome {
    Done,
    /// The action is called with the batch and its logs.
    Action,
    /// The same, and then the sink is pushed the row again.
    Again,
    /// The action is called for each share, with its number and logs.
    Shares(Vec<Share>),
    /// The function is called with the text.
    Print(Py<PyAny>, String),
}

impl Outcome {
    /// Carries it out; whether the sink is to be pushed the row again.
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
    /// Whether the clock was read for it.
    pub clock_read: bool,
    /// Of how many batches of the call the step columns were taken.
    pub taken: usize,
}

/// A number for a batch: unique, and larger than those before.
pub fn next_ordinal() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
