//! What all policies share: the best value, and the rule that judges a new one.

/// Gives a class the attributes and methods of its core's `Best`.
macro_rules! best_methods {
    ($class:ident) => {
        #[pyo3::pymethods]
        impl $class {
            /// The best value so far.
            #[getter]
            fn best(&self) -> Option<f64> {
                self.0.best.value
            }

            #[setter]
            fn set_best(&mut self, value: Option<f64>) {
                self.0.best.value = value;
            }

            /// What is subtracted from a value before it is compared: signed, as Keras keeps it.
            #[getter]
            fn min_delta(&self) -> f64 {
                self.0.best.rule.signed_delta
            }

            #[setter]
            fn set_min_delta(&mut self, value: f64) {
                self.0.best.rule.signed_delta = value;
            }

            /// Sets how values are compared.
            fn compare(&mut self, larger_is_better: bool, double: bool, flush_subnormal: bool) {
                let rule = &mut self.0.best.rule;
                rule.direction = if larger_is_better {
                    fitwatch_core::Direction::Max
                } else {
                    fitwatch_core::Direction::Min
                };
                rule.width = if double {
                    fitwatch_core::Width::F64
                } else {
                    fitwatch_core::Width::F32
                };
                rule.flush_subnormal = flush_subnormal;
            }

            /// Whether `value` is better than `reference`.
            fn improves(&self, value: f64, reference: Option<f64>) -> bool {
                self.0.best.rule.improves(value, reference)
            }
        }
    };
}

pub(crate) use best_methods;
