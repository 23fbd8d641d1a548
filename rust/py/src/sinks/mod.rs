//! The sinks of compiled callbacks.

mod batch_count;
mod batch_policy;
mod blocks;
mod counter;
mod due;
mod epoch_values;
mod every;
mod feed;
mod finite;
mod interval;
mod losses;
mod progress;
mod rows;
mod scalars;
mod watch;

pub use batch_count::BatchCount;
pub use blocks::Blocks;
pub use counter::Counter;
pub use due::Due;
pub use epoch_values::EpochValues;
pub use every::Every;
pub use feed::Feed;
pub use finite::Finite;
pub use interval::Interval;
pub use losses::Losses;
pub use progress::Progress;
pub use rows::Rows;
pub use scalars::Scalars;
pub use watch::Watch;

use std::collections::VecDeque;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::row::Column;
use crate::sink::Sink;

/// Extracts a sink from its Python object.
fn sink_of(value: &Bound<'_, PyAny>) -> PyResult<Box<dyn Sink>> {
    macro_rules! one_of {
        ($($class:ident),*) => {
            $(if let Ok(sink) = value.cast::<$class>() {
                return Ok(Box::new(sink.clone().unbind()));
            })*
        };
    }
    one_of!(
        BatchCount,
        Blocks,
        Counter,
        Due,
        EpochValues,
        Every,
        Finite,
        Interval,
        Losses,
        Progress,
        Rows,
        Scalars,
        Watch
    );
    let message = format!("sink must be one of the core; got {}.", value.repr()?);
    Err(PyTypeError::new_err(message))
}

fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

/// Takes the item that the gate queued for a batch; `None` if the gate was shut.
fn kept<T: Copy>(queue: &mut VecDeque<(u64, T)>, ordinal: u64) -> Option<T> {
    // Skip earlier batches whose rows were never pushed.
    while queue.front().is_some_and(|(first, _)| *first < ordinal) {
        queue.pop_front();
    }
    match queue.front() {
        Some(&(first, kept)) if first == ordinal => {
            queue.pop_front();
            Some(kept)
        }
        _ => None,
    }
}
