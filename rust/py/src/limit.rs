//! A patience that may be endless.

use fitwatch_core::Patience;
use pyo3::prelude::*;

/// A limit in units; Python's `inf` stands for [`Patience::FOREVER`].
#[derive(IntoPyObject)]
pub enum Limit {
    Forever(f64),
    Units(u64),
}

impl From<u64> for Limit {
    fn from(limit: u64) -> Self {
        if limit == Patience::FOREVER {
            Self::Forever(f64::INFINITY)
        } else {
            Self::Units(limit)
        }
    }
}

impl<'py> FromPyObject<'_, 'py> for Limit {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if value
            .extract::<f64>()
            .is_ok_and(|limit| limit == f64::INFINITY)
        {
            Ok(Self::Forever(f64::INFINITY))
        } else {
            value.extract().map(Self::Units)
        }
    }
}

impl From<Limit> for u64 {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Forever(_) => Patience::FOREVER,
            Limit::Units(units) => units,
        }
    }
}
