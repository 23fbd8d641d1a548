//! Conversion of the core's errors to Python exceptions.

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// An error of the core that converts to a Python exception.
pub struct Error(fitwatch_core::Error);

impl From<fitwatch_core::Error> for Error {
    fn from(error: fitwatch_core::Error) -> Self {
        Self(error)
    }
}

impl From<Error> for PyErr {
    fn from(Error(error): Error) -> Self {
        let fitwatch_core::Error::Io { path, source } = error else {
            return PyValueError::new_err(error.to_string());
        };
        // With an errno, Python picks the subclass (FileNotFoundError, PermissionError, ...).
        match source.raw_os_error() {
            Some(errno) => {
                let message = source.to_string();
                // Python adds "[Errno N]" itself: remove Rust's " (os error N)".
                let reason = message.split(" (os error").next().unwrap_or_default();
                PyOSError::new_err((errno, reason.to_owned(), path.into_os_string()))
            }
            None => PyOSError::new_err(format!("{source}: {}", path.display())),
        }
    }
}
