//! TensorBoard event files.

use std::io;
use std::path::{Path, PathBuf};

use fitwatch_core::event_file;
use pyo3::prelude::*;

use crate::clock::now;
use crate::error::Error;

/// An event file, open for writing.
#[pyclass(module = "fitwatch._core")]
pub struct EventFile(event_file::EventFile);

impl EventFile {
    /// Adds one value under the tag of `template`, as of the time `now`.
    #[allow(clippy::cast_possible_truncation)] // scalars of event files are float32
    pub fn add(
        &mut self,
        template: &event_file::Template,
        value: f64,
        step: i64,
        now: f64,
    ) -> Result<(), Error> {
        let written = self.0.add(template, value as f32, step, now);
        written.map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Io(self.0.path().to_owned(), source)
    }
}

#[pymethods]
impl EventFile {
    /// Creates `folder` if need be, and a new file in it.
    #[new]
    fn new(folder: PathBuf, host: &str) -> Result<Self, Error> {
        match event_file::EventFile::create(&folder, host, now()) {
            Ok(file) => Ok(Self(file)),
            Err(source) => Err(Error::Io(folder, source)),
        }
    }

    /// Where the file lies.
    #[getter]
    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds one value under `tag`.
    #[allow(clippy::cast_possible_truncation)] // scalars of event files are float32
    fn add_scalar(slf: &Bound<'_, Self>, tag: &str, value: f64, step: i64) -> Result<(), Error> {
        // Borrowed here, and not by the signature: converting `value` may run Python code.
        let mut this = slf.borrow_mut();
        let written = this.0.add_scalar(tag, value as f32, step, now());
        written.map_err(|source| this.error(source))
    }

    /// Adds an encoded `Event`.
    fn add_event(&mut self, event: &[u8]) -> Result<(), Error> {
        self.0
            .add_event(event, now())
            .map_err(|source| self.error(source))
    }

    /// Hands everything to the operating system.
    fn flush(&mut self) -> Result<(), Error> {
        self.0.flush(now()).map_err(|source| self.error(source))
    }
}
