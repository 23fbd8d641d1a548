//! A policy that is updated with the values of batches.

use fitwatch_core::policies as core;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::policies::{EarlyStopping, Plateau};

pub enum Policy {
    EarlyStopping(Py<EarlyStopping>),
    Plateau(Py<Plateau>),
}

impl<'py> FromPyObject<'_, 'py> for Policy {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(policy) = value.cast::<EarlyStopping>() {
            Ok(Self::EarlyStopping(policy.to_owned().unbind()))
        } else {
            Ok(Self::Plateau(value.cast::<Plateau>()?.to_owned().unbind()))
        }
    }
}

impl Policy {
    pub fn update(
        &self,
        py: Python<'_>,
        epoch: i64,
        batch: i64,
        values: &[Option<core::Value>],
    ) -> core::Decision {
        match self {
            Self::EarlyStopping(policy) => {
                let at = core::Moment {
                    epoch,
                    batch: Some(batch),
                };
                policy.borrow_mut(py).0.update(at, values)
            }
            Self::Plateau(policy) => match values.first() {
                Some(Some(value)) => policy.borrow_mut(py).0.update(value.value, value.units),
                _ => core::Decision::Ignore,
            },
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::EarlyStopping(policy) => visit.call(policy),
            Self::Plateau(policy) => visit.call(policy),
        }
    }
}
