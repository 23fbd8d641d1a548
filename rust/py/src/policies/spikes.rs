//! The policy of `SpikeDetection`.

use fitwatch_core::policies as core;
use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;

use super::copying::copying_methods;

/// Finds values that are far worse than the recent ones.
#[pyclass(module = "fitwatch._core")]
pub struct Spikes(pub core::Spikes);

copying_methods!(Spikes);

#[pymethods]
impl Spikes {
    #[new]
    #[pyo3(signature = (threshold=25.0, window=100, warmup=100))]
    fn new(threshold: f64, window: i64, warmup: i64) -> Self {
        Self(core::Spikes {
            threshold,
            window,
            warmup,
            ..core::Spikes::default()
        })
    }

    /// Whether a spike is a value that is too small.
    #[getter]
    fn larger_is_better(&self) -> bool {
        self.0.larger_is_better
    }

    #[setter]
    fn set_larger_is_better(&mut self, larger_is_better: bool) {
        self.0.larger_is_better = larger_is_better;
    }

    /// The last spike: its value, and the one that was expected; None if there is none.
    #[getter]
    fn found(&self) -> Option<(f64, Option<f64>)> {
        self.0.found.map(|spike| (spike.value, spike.expected))
    }

    /// What the values so far have in common: their number, mean and deviation.
    #[getter]
    fn reference(&self) -> (i64, f64, f64) {
        (self.0.seen, self.0.mean, self.0.deviation)
    }

    #[setter]
    fn set_reference(&mut self, reference: (i64, f64, f64)) {
        (self.0.seen, self.0.mean, self.0.deviation) = reference;
    }

    /// Forgets all values.
    fn reset(&mut self) {
        self.0.reset();
    }

    /// Takes the values of many batches, a buffer of doubles. Returns the positions of the spikes.
    fn judge(&mut self, py: Python<'_>, values: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
        let values = PyBuffer::<f64>::get(values)?.to_vec(py)?;
        let policy = &mut self.0;
        Ok(py.detach(|| {
            (0..)
                .zip(values)
                .filter_map(|(place, value)| policy.update(value, 1).then_some(place))
                .collect()
        }))
    }
}
