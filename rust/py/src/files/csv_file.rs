//! Python class for CSV files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fitwatch_core::files::csv::{self, Field};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyType;

use crate::clock::now;
use crate::error::Error;

/// A CSV file, open for writing.
///
/// Args:
///     path: The path of the file; an existing file is replaced.
///     separator: The field separator, one character.
#[pyclass(module = "fitwatch._core", frozen, weakref)]
pub struct CsvFile(Mutex<csv::CsvFile>);

impl CsvFile {
    /// Locks the file. No Python code may run while the guard is held.
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

    /// Opens a file to add rows to it; creates it if it does not exist.
    ///
    /// Args:
    ///     path: The path of the file.
    ///     separator: The field separator, one character.
    ///     first: The name of a column that the file must have.
    ///     keep: How many of the first rows to keep; None for all.
    ///
    /// Returns:
    ///     The file, and None or a pair for a last row without a line end: its text, and whether it
    ///     was kept.
    ///
    /// Raises:
    ///     `OSError`: The file cannot be opened.
    ///     `ValueError`: The file is not a CSV file with that column.
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

    /// The number of rows in the file, without those still in the buffer.
    #[getter]
    fn get_rows(&self, py: Python<'_>) -> u64 {
        self.lock(py).rows()
    }

    /// Adds columns at the end. Existing rows get `NA` for them.
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn add_columns(&self, py: Python<'_>, names: Vec<String>) -> Result<(), Error> {
        self.write(py, |file| file.add_columns(&names, now()))
    }

    /// Adds a row, given as a dict from column names to fields. A missing field is `NA`.
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

    /// Writes the buffer to the operating system.
    fn flush(&self, py: Python<'_>) -> Result<(), Error> {
        self.write(py, |file| file.flush(now()))
    }

    /// Writes the buffer and syncs the file to disk.
    fn sync(&self, py: Python<'_>) -> Result<(), Error> {
        py.detach(|| {
            let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(file.sync(now())?)
        })
    }
}
