//! Python class for atomic replacement of files.

use std::path::PathBuf;
use std::sync::Mutex;

use fitwatch_core::files::replace;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::Error;

/// A new file that atomically replaces an old one.
///
/// Args:
///     target: The file to replace; it need not exist yet.
#[pyclass(module = "fitwatch._core", frozen)]
pub struct Replacement {
    /// Where to write the new file.
    #[pyo3(get)]
    path: PathBuf,
    begun: Mutex<Option<replace::Replacement>>,
}

impl Replacement {
    fn take(&self) -> Option<replace::Replacement> {
        self.begun.lock().ok().and_then(|mut begun| begun.take())
    }
}

#[pymethods]
impl Replacement {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn new(target: PathBuf) -> Result<Self, Error> {
        let begun = replace::Replacement::begin(&target)?;
        Ok(Self {
            path: begun.path().to_owned(),
            begun: Mutex::new(Some(begun)),
        })
    }

    /// Syncs the new file and replaces the old one with it.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        let Some(begun) = self.take() else {
            return Err(PyValueError::new_err("it was ended before"));
        };
        Ok(py.detach(|| begun.commit()).map_err(Error::from)?)
    }

    /// Removes the new file, unless it was committed.
    fn discard(&self) {
        drop(self.take());
    }
}

/// Removes the temporary files that dead processes have left in a folder.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // from Python
pub fn clean(py: Python<'_>, folder: PathBuf) {
    py.detach(|| replace::clean(&folder));
}
