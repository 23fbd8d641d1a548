//! TensorBoard event files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use fitwatch_core::files::event_file;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyUserWarning, PyValueError};
use pyo3::prelude::*;

use crate::clock::now;
use crate::error::Error;

/// Whether the interpreter ends: a thread that has let go of its lock may not get it back then.
static EXITING: AtomicBool = AtomicBool::new(false);

/// An event file, open for writing.
///
/// It never raises an error of the disk but when it is made: one warning tells of the first.
///
/// Args:
///     folder: Where to make it. The folder is made if it is missing.
///     host: The machine's name, which becomes a part of the file's.
///     run: A name of the run, which becomes a part of the file's, too.
///
/// Raises an `OSError` where the file cannot be made.
#[pyclass(module = "fitwatch._core", frozen, subclass, weakref)]
pub struct EventFile {
    file: event_file::EventFile,
    told: AtomicBool,
    closed: AtomicBool,
}

impl EventFile {
    /// Adds one value under the tag of `template`; see [`Self::care`].
    #[allow(clippy::cast_possible_truncation)] // scalars of event files are float32
    pub fn add(&self, template: &event_file::Template, value: f64, step: i64, wall_time: f64) {
        self.file.add(template, value as f32, step, wall_time);
    }

    /// Called after something was added: waits for the disk where too much is waiting for it, and
    /// tells once when it cannot be written to.
    pub fn care(&self, py: Python<'_>) {
        if !self.file.needs_care() {
            return;
        }
        let Some(error) = py.detach(|| self.file.care()) else {
            return;
        };
        if self.told.swap(true, Relaxed) {
            return;
        }
        let error = PyErr::from(Error::from(error));
        let message = format!(
            "fitwatch: an event file cannot be written, and what is added to it may get lost: {}\0",
            error.value(py)
        );
        let message = std::ffi::CStr::from_bytes_until_nul(message.as_bytes()).unwrap_or_default();
        if let Err(error) = PyErr::warn(py, &py.get_type::<PyUserWarning>(), message, 1) {
            // Where warnings are errors, this one ends no training.
            error.write_unraisable(py, None);
        }
    }

    fn require_open(&self) -> PyResult<()> {
        if self.closed.load(Relaxed) {
            let path = self.file.path().display();
            return Err(PyValueError::new_err(format!("{path} is closed.")));
        }
        Ok(())
    }
}

#[pymethods]
impl EventFile {
    #[new]
    #[pyo3(signature = (folder, host, run=None))]
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn new(folder: PathBuf, host: &str, run: Option<&str>) -> Result<Self, Error> {
        Ok(Self {
            file: event_file::EventFile::create(&folder, host, run, now())?,
            told: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    /// Where the file lies.
    #[getter]
    fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds one value under `tag`.
    #[pyo3(signature = (tag, scalar_value, global_step=None, walltime=None))]
    #[allow(clippy::cast_possible_truncation)] // scalars of event files are float32
    fn add_scalar(
        &self,
        py: Python<'_>,
        tag: &str,
        scalar_value: f64,
        global_step: Option<i64>,
        walltime: Option<f64>,
    ) -> PyResult<()> {
        self.require_open()?;
        let step = global_step.unwrap_or(0);
        let walltime = walltime.unwrap_or_else(now);
        self.file
            .add_scalar(tag, scalar_value as f32, step, walltime);
        self.care(py);
        Ok(())
    }

    /// Adds many values under `tag`, at steps of their own.
    #[pyo3(signature = (tag, values, steps, walltime=None))]
    fn add_series(
        &self,
        py: Python<'_>,
        tag: &str,
        values: &Bound<'_, PyAny>,
        steps: &Bound<'_, PyAny>,
        walltime: Option<f64>,
    ) -> PyResult<()> {
        self.require_open()?;
        let walltime = walltime.unwrap_or_else(now);
        let values = PyBuffer::<f32>::get(values)?.to_vec(py)?;
        let steps = PyBuffer::<i64>::get(steps)?.to_vec(py)?;
        let points = values.into_iter().zip(steps);
        py.detach(|| self.file.add_series(tag, points, walltime));
        self.care(py);
        Ok(())
    }

    /// Adds an encoded `Event`.
    fn add_event(&self, py: Python<'_>, event: &[u8]) -> PyResult<()> {
        self.require_open()?;
        self.file.add_event(event);
        self.care(py);
        Ok(())
    }

    /// Writes, from now on, the events of another file too.
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn follow(&self, path: PathBuf) -> Result<(), Error> {
        Ok(self.file.follow(&path)?)
    }

    /// Writes what the other file has, and is done with it.
    fn unfollow(&self, py: Python<'_>) {
        py.detach(|| self.file.unfollow());
    }

    /// Has everything written now, and waits for nothing.
    fn nudge(&self) {
        self.file.nudge();
    }

    /// Waits until everything is with the operating system.
    fn flush(&self, py: Python<'_>) {
        py.detach(|| self.file.flush());
        self.care(py);
    }

    /// Flushes and closes the file.
    fn close(&self, py: Python<'_>) {
        self.closed.store(true, Relaxed);
        py.detach(|| self.file.close());
        self.care(py);
    }
}

impl Drop for EventFile {
    /// Waits for the thread that writes, without the interpreter's lock.
    fn drop(&mut self) {
        if !EXITING.load(Relaxed) {
            Python::try_attach(|py| py.detach(|| self.file.close()));
        }
        // Otherwise the core's own file waits for it.
    }
}

/// Called when the interpreter ends: from now on its lock is not let go of for a file that goes.
#[pyfunction]
pub fn exiting() {
    EXITING.store(true, Relaxed);
}
