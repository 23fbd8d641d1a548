//! What a recorder and its sinks say to each other.

use pyo3::prelude::*;

/// What a sink wants of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wish {
    Nothing,
    /// The values of the sink's columns.
    Column,
    /// All values, when they are there.
    Row,
    /// That its action is carried out now.
    Act,
    /// That the callback's Python hook is called now.
    Hook,
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

/// What is to be done about a row, if anything.
pub enum Act {
    Nothing,
    /// The action is called with the batch and its logs.
    Batch,
    /// The same, and then the sink is shown the row again.
    Again,
    /// The action is called with a number (of a batch, or a step), the logs, and the losses of the
    /// call's batches.
    Losses(i64),
    /// The function is called with the text.
    Print(Py<PyAny>, String),
}

/// The batch that has just ended.
pub struct Batch<'a, 'py> {
    pub number: &'a Bound<'py, PyAny>,
    /// Unique and growing.
    pub ordinal: u64,
    /// Seconds since 1970, estimated.
    pub now: f64,
    /// Whether the clock was read for it.
    pub clock_read: bool,
}
