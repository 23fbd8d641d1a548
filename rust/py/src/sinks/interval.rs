//! An action every `seconds` seconds.

use std::time::Instant;

use pyo3::prelude::*;

use crate::sink::{Batch, Gate, Sink};

/// Calls the action after the first batch that ends `seconds` or more after the last action.
///
/// Args:
///     seconds: The minimum time between two actions. The first interval begins at construction.
#[pyclass(module = "fitwatch._core")]
pub struct Interval {
    seconds: f64,
    since: Instant,
    /// Whether to call the Python hook for the next batch instead.
    #[pyo3(get, set)]
    hook: bool,
}

#[pymethods]
impl Interval {
    #[new]
    fn new(seconds: f64) -> Self {
        Self {
            seconds,
            since: Instant::now(),
            hook: true,
        }
    }

    /// Whether the interval has passed; if so, the next one begins.
    fn due(&mut self) -> bool {
        let due = self.since.elapsed().as_secs_f64() >= self.seconds;
        if due {
            self.since = Instant::now();
        }
        due
    }
}

impl Sink for Py<Interval> {
    fn gate(&self, batch: &Batch<'_, '_>) -> Gate {
        let mut this = self.borrow_mut(batch.number.py());
        if std::mem::take(&mut this.hook) {
            Gate::Hook
        } else if batch.clock_read && this.due() {
            Gate::Act
        } else {
            Gate::Shut
        }
    }
}
