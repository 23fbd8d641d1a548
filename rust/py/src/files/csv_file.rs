//! CSV files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fitwatch_core::files::csv::{self, Field};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyType;

use crate::clock::now;
use crate::error::Error;

/// A CSV file, open for writing: fields that are not numbers are text.
///
/// Args:
///     path: Where it lies; an old file is replaced.
///     separator: One character.
#[pyclass(module = "fitwatch._core", frozen, weakref)]
pub struct CsvFile(Mutex<csv::CsvFile>);

impl CsvFile {
    /// The file, once no other thread writes to it; no Python code may run while it is held.
    pub fn lock(&self, py: Python<'_>) -> MutexGuard<'_, csv::CsvFile> {
        self.0
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(
        &self,
        py: Python<'_>,
        write: impl FnOnce(&mut csv::CsvFile) -> Result<(), fitwatch_core::Error>,
    ) -> Result<(), Error> {
        Ok(write(&mut self.lock(py))?)
    }
}

#[pymethods]
impl CsvFile {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn new(path: PathBuf, separator: char) -> Result<Self, Error> {
        Ok(Self(Mutex::new(csv::CsvFile::create(
            &path,
            separator,
            now(),
        )?)))
    }

    /// Opens a file to add rows to it; makes it, if there is none.
    ///
    /// Args:
    ///     path: Where it lies.
    ///     separator: One character.
    ///     first: A column that it must have.
    ///     keep: How many of its rows to keep, the first ones; None for all.
    ///
    /// Returns:
    ///     The file; and what its last row was, if that was torn, with whether it was kept.
    ///
    /// Raises:
    ///     `OSError`: It cannot be opened.
    ///     `ValueError`: It is not a CSV file with that column.
    #[classmethod]
    #[pyo3(signature = (path, separator, first, keep=None))]
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn append(
        _cls: &Bound<'_, PyType>,
        path: PathBuf,
        separator: char,
        first: &str,
        keep: Option<u64>,
    ) -> Result<(Self, Option<(String, bool)>), Error> {
        let (file, repair) = csv::CsvFile::append(&path, separator, first, keep, now())?;
        let repair = repair.map(|repair| (repair.text, repair.kept));
        Ok((Self(Mutex::new(file)), repair))
    }

    /// The names of the columns, in order.
    #[getter]
    fn get_columns(&self, py: Python<'_>) -> Vec<String> {
        self.lock(py).columns().to_vec()
    }

    /// The rows that are in the file, without those that wait to be written.
    #[getter]
    fn get_rows(&self, py: Python<'_>) -> u64 {
        self.lock(py).rows()
    }

    /// Adds columns at the end; rows that are there already get `NA` for them.
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn add_columns(&self, py: Python<'_>, names: Vec<String>) -> Result<(), Error> {
        self.write(py, |file| file.add_columns(&names, now()))
    }

    /// Adds a row: the fields by the names of their columns; a missing one is `NA`.
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn add_row(&self, py: Python<'_>, fields: HashMap<String, String>) -> Result<(), Error> {
        self.write(py, |file| {
            let columns = file.columns().to_vec();
            let row = columns.iter().map(|name| match fields.get(name) {
                Some(text) => Field::Text(text),
                None => Field::Missing,
            });
            file.add_row(row, now())
        })
    }

    /// Hands everything to the operating system.
    fn flush(&self, py: Python<'_>) -> Result<(), Error> {
        self.write(py, |file| file.flush(now()))
    }

    /// Writes everything, and waits until it is safe from a loss of power.
    fn sync(&self, py: Python<'_>) -> Result<(), Error> {
        py.detach(|| {
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(file.sync(now())?)
        })
    }
}
