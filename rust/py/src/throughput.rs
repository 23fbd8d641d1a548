//! How fast a model trains.

use std::time::Instant;

use fitwatch_core::timing as core;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// Measures the speed of training from the calls of the train function.
///
/// Args:
///     window: How many of the last batches rates are computed over.
#[pyclass(module = "fitwatch._core")]
pub struct Throughput {
    inner: core::Throughput,
    window: u64,
    started: Instant,
}

#[pymethods]
impl Throughput {
    /// What `values` returns, in this order.
    #[classattr]
    #[pyo3(name = "names")]
    const NAMES: [&'static str; 7] = [
        "batches_per_second",
        "samples_per_second",
        "step_time_p50",
        "step_time_p90",
        "step_time_p99",
        "data_wait",
        "eta_seconds",
    ];

    #[new]
    fn new(window: u64) -> Self {
        Self {
            inner: core::Throughput::new(window),
            window,
            started: Instant::now(),
        }
    }

    /// Called when a call of the train function begins.
    fn begin(&mut self) {
        let started = self.started;
        self.inner.begin(|| started.elapsed().as_secs_f64());
    }

    /// Called when a call of the train function has ended, before the hooks.
    ///
    /// Args:
    ///     waited: How many seconds of the call were spent waiting for data; None if not known.
    ///     batches: How many batches it trained.
    ///     samples: How many samples they had; None if not known.
    #[pyo3(signature = (waited, batches, samples))]
    fn end(&mut self, waited: Option<f64>, batches: u32, samples: Option<u64>) {
        let now = self.started.elapsed().as_secs_f64();
        self.inner.end(now, waited, batches, samples);
    }

    /// Excludes the time until the next `begin`.
    fn pause(&mut self) {
        self.inner.pause();
    }

    /// The speed: a float for each of `names`, NaN if not known.
    ///
    /// Args:
    ///     remaining: How many batches are left, for `eta_seconds`; None if not known.
    ///     pauses: How many pauses are left, such as ends of epochs.
    #[pyo3(signature = (remaining=None, pauses=0))]
    fn values(&self, remaining: Option<u64>, pauses: u32) -> [f64; Self::NAMES.len()] {
        let speed = self.inner.speed(remaining, pauses);
        [
            speed.batches_per_second,
            speed.samples_per_second,
            speed.step_time_p50,
            speed.step_time_p90,
            speed.step_time_p99,
            speed.data_wait,
            speed.eta_seconds,
        ]
        .map(|value| value.unwrap_or(f64::NAN))
    }

    /// Supports `copy` and `pickle`: class, arguments. A copy has measured nothing.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (u64,)) {
        (slf.get_type(), (slf.borrow().window,))
    }
}
