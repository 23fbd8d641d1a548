//! A patience limit that may be infinite.

use fitwatch_core::policies::Patience;
use pyo3::prelude::*;

/// A limit in units. Python's `inf`, or a value beyond `i64`, becomes [`Patience::FOREVER`].
#[derive(IntoPyObject)]
pub enum Limit {
    Forever(f64),
    Units(i64),
}

impl From<i64> for Limit {
    fn from(limit: i64) -> Self {
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
        let out_of_reach = 2_f64.powi(63);
        if value
            .extract::<f64>()
            .is_ok_and(|limit| limit >= out_of_reach)
        {
            Ok(Self::Forever(f64::INFINITY))
        } else {
            value.extract().map(Self::Units)
        }
    }
}

impl From<Limit> for i64 {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Forever(_) => Patience::FOREVER,
            Limit::Units(units) => units,
        }
    }
}
