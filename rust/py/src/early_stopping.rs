//! The policy of `EarlyStopping`.

use fitwatch_core as core;
use pyo3::prelude::*;

use crate::decision::Decision;
use crate::limit::Limit;
use crate::policy::best_methods;

/// Stop when a metric has stopped improving.
#[pyclass(module = "fitwatch._core")]
pub struct EarlyStopping(core::EarlyStopping);

best_methods!(EarlyStopping);

#[pymethods]
impl EarlyStopping {
    #[new]
    fn new() -> Self {
        Self(core::EarlyStopping::default())
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
    fn baseline(&self) -> Option<f64> {
        self.0.baseline
    }

    #[setter]
    fn set_baseline(&mut self, value: Option<f64>) {
        self.0.baseline = value;
    }

    #[getter]
    fn start_from_epoch(&self) -> i64 {
        self.0.start
    }

    #[setter]
    fn set_start_from_epoch(&mut self, epoch: i64) {
        self.0.start = epoch;
    }

    #[getter]
    fn best_epoch(&self) -> i64 {
        self.0.best_epoch
    }

    #[setter]
    fn set_best_epoch(&mut self, epoch: i64) {
        self.0.best_epoch = epoch;
    }

    #[getter]
    fn stopped_epoch(&self) -> i64 {
        self.0.stopped_epoch
    }

    #[setter]
    fn set_stopped_epoch(&mut self, epoch: i64) {
        self.0.stopped_epoch = epoch;
    }

    /// The value of one epoch.
    fn update(&mut self, epoch: i64, value: f64) -> Decision {
        self.0.update(epoch, value).into()
    }
}
