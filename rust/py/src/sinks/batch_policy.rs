//! A policy that judges the values of batches.

use fitwatch_core::policies as core;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::policies::{EarlyStopping, Plateau, Spikes};

trait Take: Send + Sync {
    fn take(
        &self,
        py: Python<'_>,
        at: core::Moment,
        values: &[Option<core::Value>],
    ) -> core::Decision;

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError>;
}

/// One of the policies below, made by Python.
pub struct Policy(Box<dyn Take>);

impl Policy {
    pub fn take(
        &self,
        py: Python<'_>,
        at: core::Moment,
        values: &[Option<core::Value>],
    ) -> core::Decision {
        self.0.take(py, at, values)
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.traverse(visit)
    }
}

macro_rules! policies {
    ($($class:ident),*) => {
        $(impl Take for Py<$class> {
            fn take(
                &self,
                py: Python<'_>,
                at: core::Moment,
                values: &[Option<core::Value>],
            ) -> core::Decision {
                core::BatchPolicy::take(&mut self.borrow_mut(py).0, at, values)
            }

            fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
                visit.call(self)
            }
        })*

        impl<'py> FromPyObject<'_, 'py> for Policy {
            type Error = PyErr;

            fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
                $(if let Ok(policy) = value.cast::<$class>() {
                    return Ok(Self(Box::new(policy.to_owned().unbind())));
                })*
                let message = format!("policy must judge batches; got {}.", value.repr()?);
                Err(PyTypeError::new_err(message))
            }
        }
    };
}

policies!(EarlyStopping, Plateau, Spikes);
