//! Methods of policies with a best value: the value, and the rule for improvements.

/// Adds the attributes and methods of the core's `Best`, found at a path of fields, to a class.
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

            /// Whether `value` is better than `reference`.
            fn improves(&self, value: f64, reference: Option<f64>) -> bool {
                self.0.$($best).+.rule.improves(value, reference)
            }
        }
    };
}

pub(crate) use best_methods;
