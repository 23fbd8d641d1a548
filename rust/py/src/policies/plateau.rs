//! The policy of `ReduceLROnPlateau`.

use fitwatch_core::policies as core;
use pyo3::prelude::*;

use super::best::best_methods;
use super::copying::copying_methods;
use super::decision::Decision;
use super::limit::Limit;

/// Decides to reduce the learning rate when a metric has stopped improving.
#[pyclass(module = "fitwatch._core")]
pub struct Plateau(pub core::Plateau);

best_methods!(Plateau, best);
copying_methods!(Plateau);

#[pymethods]
impl Plateau {
    #[new]
    fn new() -> Self {
        Self(core::Plateau::default())
    }

    #[getter]
    fn patience(&self) -> Limit {
        self.0.patience.limit.into()
    }

    #[setter]
    fn set_patience(&mut self, limit: Limit) {
        self.0.patience.limit = limit.into();
    }

    #[getter]
    fn wait(&self) -> i64 {
        self.0.patience.waited
    }

    #[setter]
    fn set_wait(&mut self, waited: i64) {
        self.0.patience.waited = waited;
    }

    #[getter]
    fn cooldown(&self) -> i64 {
        self.0.cooldown.length
    }

    #[setter]
    fn set_cooldown(&mut self, length: i64) {
        self.0.cooldown.length = length;
    }

    #[getter]
    fn cooldown_counter(&self) -> i64 {
        self.0.cooldown.remaining
    }

    #[setter]
    fn set_cooldown_counter(&mut self, remaining: i64) {
        self.0.cooldown.remaining = remaining;
    }

    #[getter]
    fn factor(&self) -> f64 {
        self.0.factor
    }

    #[setter]
    fn set_factor(&mut self, factor: f64) {
        self.0.factor = factor;
    }

    #[getter]
    fn min_lr(&self) -> f64 {
        self.0.min_rate
    }

    #[setter]
    fn set_min_lr(&mut self, rate: f64) {
        self.0.min_rate = rate;
    }

    /// Sets the options that Keras does not have: a minimum change that is a fraction of the best
    /// value, and smoothing.
    fn refine(&mut self, relative: bool, halflife: Option<f64>) {
        self.0.best.rule.relative = relative;
        self.0.smoothing = halflife.map(core::Smoothing::new);
    }

    /// Resets the smoothing.
    fn reset(&mut self) {
        if let Some(smoothing) = &mut self.0.smoothing {
            *smoothing = core::Smoothing::new(smoothing.halflife);
        }
    }

    /// The weighted mean of the values and the sum of the weights; None without smoothing.
    #[getter]
    fn mean(&self) -> Option<(f64, f64)> {
        let smoothing = self.0.smoothing?;
        Some((smoothing.mean, smoothing.weight))
    }

    #[setter]
    fn set_mean(&mut self, mean: Option<(f64, f64)>) {
        if let (Some(smoothing), Some((mean, weight))) = (&mut self.0.smoothing, mean) {
            (smoothing.mean, smoothing.weight) = (mean, weight);
        }
    }

    /// Takes the value of one epoch.
    fn update(&mut self, value: f64) -> Decision {
        self.0.update(value, 1).into()
    }

    /// The reduced learning rate, or None if `rate` is at the minimum.
    fn reduced(&self, rate: f64) -> Option<f64> {
        self.0.reduced(rate)
    }

    /// Records that a learning rate was reduced.
    fn acted(&mut self) {
        self.0.acted();
    }
}
