//! An action after every so many seconds.

use std::time::Instant;

use pyo3::prelude::*;

use crate::sink::{Batch, Gate, Sink};

/// Asks for an action after the first batch that ends some time after the last one.
///
/// Args:
///     seconds: The time between two actions, which begins now.
#[pyclass(module = "fitwatch._core")]
pub struct Interval {
    seconds: f64,
    since: Instant,
    /// Whether the next batch is left to the Python hook.
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

    /// Whether the time has passed; if so, it begins anew.
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
