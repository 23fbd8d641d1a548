//! CSV files.

use std::collections::HashMap;
use std::path::PathBuf;

use fitwatch_core::files::csv::{self, Field};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::clock::now;
use crate::error::Error;

/// A CSV file, open for writing: what is no number comes and goes as text.
///
/// Args:
///     path: Where it lies; an old file is replaced.
///     separator: One character.
#[pyclass(module = "fitwatch._core", weakref)]
pub struct CsvFile(csv::CsvFile);

impl CsvFile {
    pub fn columns(&self) -> &[String] {
        self.0.columns()
    }

    /// Adds a row, as of the time `now`.
    pub fn add<'a>(
        &mut self,
        fields: impl IntoIterator<Item = Field<'a>>,
        now: f64,
    ) -> Result<(), Error> {
        Ok(self.0.add_row(fields, now)?)
    }
}

#[pymethods]
impl CsvFile {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn new(path: PathBuf, separator: char) -> Result<Self, Error> {
        Ok(Self(csv::CsvFile::create(&path, separator, now())?))
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
    ///     `ValueError`: It is no CSV file with that column.
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
        Ok((Self(file), repair))
    }

    /// The names of the columns, in order.
    #[getter]
    fn get_columns(&self) -> Vec<String> {
        self.0.columns().to_vec()
    }

    /// The rows that are in the file, without those that wait to be written.
    #[getter]
    fn get_rows(&self) -> u64 {
        self.0.rows()
    }

    /// Adds columns at the end; rows that are there already get `NA` for them.
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn add_columns(&mut self, names: Vec<String>) -> Result<(), Error> {
        Ok(self.0.add_columns(&names, now())?)
    }

    /// Adds a row: the fields by the names of their columns; a missing one is `NA`.
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn add_row(&mut self, fields: HashMap<String, String>) -> Result<(), Error> {
        let columns = self.0.columns().to_vec();
        let row = columns.iter().map(|name| match fields.get(name) {
            Some(text) => Field::Text(text),
            None => Field::Missing,
        });
        self.add(row, now())
    }

    /// Hands everything to the operating system.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(self.0.flush(now())?)
    }

    /// Writes everything, and waits until it is safe from a loss of power.
    fn sync(&mut self, py: Python<'_>) -> Result<(), Error> {
        Ok(py.detach(|| self.0.sync(now()))?)
    }
}
