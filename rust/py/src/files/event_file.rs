//! Python class for TensorBoard event files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use fitwatch_core::files::event_file;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::clock::now;
use crate::error::Error;

/// Whether the interpreter is exiting: a thread that releases its lock may then not get it back.
static EXITING: AtomicBool = AtomicBool::new(false);

/// An event file, open for writing.
///
/// Errors of writing are raised only by the constructor. Later, the first one becomes a warning.
///
/// Args:
///     folder: The folder to create the file in. It is created if it is missing.
///     host: The name of the machine, a part of the file name.
///     run: The name of the run, a part of the file name; None to omit it.
///
/// Raises:
///     `OSError`: The file cannot be created.
#[pyclass(module = "fitwatch._core", frozen, subclass, weakref)]
pub struct EventFile {
    file: event_file::EventFile,
    told: AtomicBool,
    closed: AtomicBool,
}

impl EventFile {
    /// Adds one value under the tag of `template`; see [`Self::attend`].
    #[allow(clippy::cast_possible_truncation)] // scalars of event files are float32
    pub fn add(&self, template: &event_file::Template, value: f64, step: i64, wall_time: f64) {
        self.file.add(template, value as f32, step, wall_time);
    }

    /// Must be called after data was added. Waits for the disk if too much data is pending, and
    /// warns once if the file cannot be written.
    pub fn attend(&self, py: Python<'_>) {
        if !self.file.needs_attention() {
            return;
        }
        let Some(error) = py.detach(|| self.file.attend()) else {
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
            // A warning filter that raises errors must not end the training.
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

    /// The path of the file.
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
        self.attend(py);
        Ok(())
    }

    /// Adds many values under `tag`, each at its own step.
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
        self.attend(py);
        Ok(())
    }

    /// Adds an `Event` that is already encoded.
    fn add_event(&self, py: Python<'_>, event: &[u8]) -> PyResult<()> {
        self.require_open()?;
        self.file.add_event(event);
        self.attend(py);
        Ok(())
    }

    /// Copies the events of another file into this one, from now on.
    #[allow(clippy::needless_pass_by_value)] // from Python
    fn follow(&self, path: PathBuf) -> Result<(), Error> {
        Ok(self.file.follow(&path)?)
    }

    /// Copies the remaining events of the other file, and stops following it.
    fn unfollow(&self, py: Python<'_>) {
        py.detach(|| self.file.unfollow());
    }

    /// Asks the thread to write all pending data now, without waiting.
    fn request_flush(&self) {
        self.file.request_flush();
    }

    /// Waits until all pending data is written to the operating system.
    fn flush(&self, py: Python<'_>) {
        py.detach(|| self.file.flush());
        self.attend(py);
    }

    /// Flushes and closes the file.
    fn close(&self, py: Python<'_>) {
        self.closed.store(true, Relaxed);
        py.detach(|| self.file.close());
        self.attend(py);
    }
}

impl Drop for EventFile {
    /// Waits for the thread that writes, with the interpreter's lock released.
    fn drop(&mut self) {
        if !EXITING.load(Relaxed) {
            Python::try_attach(|py| py.detach(|| self.file.close()));
        }
        // Otherwise the drop of the core's file waits for the thread.
    }
}

/// An encoded event with one text, for `EventFile.add_event`.
#[pyfunction]
pub fn text_event<'py>(
    py: Python<'py>,
    tag: &str,
    text: &str,
    step: i64,
    walltime: f64,
) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &event_file::text_event(tag, text, step, walltime))
}

/// Called at exit: from now on, dropping a file does not release the interpreter's lock.
#[pyfunction]
pub fn exiting() {
    EXITING.store(true, Relaxed);
}
