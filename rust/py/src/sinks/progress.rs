//! When to draw the progress bar.

use pyo3::prelude::*;

use super::{Act, Batch, Wish};
use crate::recorder::queue::Row;

/// Seconds between two drawings: what Keras's bar waits.
const INTERVAL: f64 = 0.05;

/// Counts batches, and asks now and then for the bar to be drawn.
#[pyclass(module = "fitwatch._core")]
pub struct Progress {
    /// The number of the last batch, counted from 1.
    #[pyo3(get, set)]
    seen: i64,
    /// Whether the bar shows anything while batches go by.
    #[pyo3(get, set)]
    visible: bool,
    /// Whether it shows values of the logs.
    #[pyo3(get, set)]
    values: bool,
    drawn_at: f64,
    wished: Option<u64>,
}

#[pymethods]
impl Progress {
    #[new]
    fn new() -> Self {
        Self {
            seen: 0,
            visible: false,
            values: true,
            drawn_at: f64::NEG_INFINITY,
            wished: None,
        }
    }
}

impl Progress {
    pub fn wish(&mut self, batch: &Batch<'_, '_>) -> Wish {
        let Ok(number) = batch.number.extract::<i64>() else {
            return Wish::Hook;
        };
        self.seen = number.saturating_add(1);
        let waited = batch.now - self.drawn_at;
        // The first batch starts the bar's clock, so that one is not drawn late.
        let first = self.seen == 1;
        if !self.visible || (!first && (0.0..INTERVAL).contains(&waited)) {
            return Wish::Nothing;
        }
        self.drawn_at = batch.now;
        if self.values && !first {
            self.wished = Some(batch.ordinal);
            Wish::Row
        } else {
            Wish::Act
        }
    }

    pub fn take(&mut self, row: &Row<'_>) -> Act {
        if self.wished == Some(row.ordinal) {
            Act::Batch
        } else {
            Act::Nothing
        }
    }
}
