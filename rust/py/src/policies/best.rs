//! Methods that all policies share: the best value, the rule for improvements, and copying.

use pyo3::Bound;
use pyo3::types::{PyBytes, PyTuple, PyType};

/// The result of `__reduce__`: class, arguments, state.
pub type Reduced<'py> = (Bound<'py, PyType>, Bound<'py, PyTuple>, Bound<'py, PyBytes>);

/// Adds the attributes and methods of the core's `Best`, found at a path of fields, to a class,
/// and support for `copy` and `pickle`.
macro_rules! best_methods {
    ($class:ident, $($best:ident).+) => {
        #[pyo3::pymethods]
        impl $class {
            /// The best value so far.
            #[getter]
            fn best(&self) -> Option<f64> {
                self.0.$($best).+.value
            }

            #[setter]
            fn set_best(&mut self, value: Option<f64>) {
                self.0.$($best).+.value = value;
            }

            /// The minimum change, subtracted from a value before comparing; signed as in Keras.
            #[getter]
            fn min_delta(&self) -> f64 {
                self.0.$($best).+.rule.signed_delta
            }

            #[setter]
            fn set_min_delta(&mut self, value: f64) {
                self.0.$($best).+.rule.signed_delta = value;
            }

            /// Sets the direction and the precision of comparisons.
            fn compare(&mut self, larger_is_better: bool, double: bool, flush_subnormal: bool) {
                let rule = &mut self.0.$($best).+.rule;
                rule.direction = if larger_is_better {
                    fitwatch_core::policies::Direction::Max
                } else {
                    fitwatch_core::policies::Direction::Min
                };
                rule.width = if double {
                    fitwatch_core::policies::Width::F64
                } else {
                    fitwatch_core::policies::Width::F32
                };
                rule.flush_subnormal = flush_subnormal;
            }

            /// Supports `copy` and `pickle`: class, arguments, state.
            fn __reduce__<'py>(
                slf: &pyo3::Bound<'py, Self>,
            ) -> pyo3::PyResult<crate::policies::best::Reduced<'py>> {
                let state = fitwatch_core::policies::state::to_bytes(&slf.borrow().0);
                let state = state.map_err(crate::error::Error::from)?;
                let state = pyo3::types::PyBytes::new(slf.py(), &state);
                Ok((slf.get_type(), pyo3::types::PyTuple::empty(slf.py()), state))
            }

            fn __setstate__(&mut self, state: &[u8]) -> Result<(), crate::error::Error> {
                self.0 = fitwatch_core::policies::state::from_bytes(state)?;
                Ok(())
            }

            /// Whether `value` is better than `reference`.
            fn improves(&self, value: f64, reference: Option<f64>) -> bool {
                self.0.$($best).+.rule.improves(value, reference)
            }
        }
    };
}

pub(crate) use best_methods;
