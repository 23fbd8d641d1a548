//! Support for `copy` and `pickle`, which all policies share.

use pyo3::Bound;
use pyo3::types::{PyBytes, PyTuple, PyType};

/// The result of `__reduce__`: class, arguments, state.
pub type Reduced<'py> = (Bound<'py, PyType>, Bound<'py, PyTuple>, Bound<'py, PyBytes>);

/// Adds support for `copy` and `pickle` to the class of a policy.
macro_rules! copying_methods {
    ($class:ident) => {
        #[pyo3::pymethods]
        impl $class {
            fn __reduce__<'py>(
                slf: &pyo3::Bound<'py, Self>,
            ) -> pyo3::PyResult<crate::policies::copying::Reduced<'py>> {
                let state = fitwatch_core::policies::state::to_bytes(&slf.borrow().0);
                let state = state.map_err(crate::error::Error::from)?;
                let state = pyo3::types::PyBytes::new(slf.py(), &state);
                Ok((slf.get_type(), pyo3::types::PyTuple::empty(slf.py()), state))
            }

            fn __setstate__(&mut self, state: &[u8]) -> Result<(), crate::error::Error> {
                self.0 = fitwatch_core::policies::state::from_bytes(state)?;
                Ok(())
            }
        }
    };
}

pub(crate) use copying_methods;
