//! Functions of Python for the terminal view.

use std::path::PathBuf;

use fitwatch_tui::{Options, Outcome};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::error::Error;

/// Shows live charts in the terminal until the user quits.
///
/// Args:
///     path: A folder of runs, or a file of one.
///     tags: A regular expression that tags must contain; None for all.
///     log: Whether to begin with logarithmic axes.
///     colour: Whether to use colours, if the terminal has them.
///
/// Returns:
///     How it ended: "quit", "interrupted" (Ctrl-C) or "terminated" (a signal).
///
/// Raises:
///     `OSError`: There is no such path, it cannot be read, or the output is not a terminal.
///     `ValueError`: There is nothing to read, or `tags` is not a regular expression.
#[pyfunction]
#[pyo3(signature = (path, *, tags=None, log=false, colour=true))]
pub fn watch(
    py: Python<'_>,
    path: PathBuf,
    tags: Option<String>,
    log: bool,
    colour: bool,
) -> PyResult<&'static str> {
    let options = Options {
        path,
        tags,
        log,
        colour,
    };
    let outcome = py
        .detach(|| fitwatch_tui::watch(&options))
        .map_err(raised)?;
    // SIGINT has reached Python's own handler too.
    py.check_signals()?;
    Ok(match outcome {
        Outcome::Interrupted => "interrupted",
        Outcome::Terminated => "terminated",
        _ => "quit",
    })
}

/// One frame of the terminal view, as a text of `height` lines.
///
/// Args:
///     path, tags, log, colour: As for `watch`.
///     width: The number of columns.
///     height: The number of lines.
///
/// Raises:
///     `OSError`, `ValueError`: As for `watch`.
#[pyfunction]
#[pyo3(signature = (path, width, height, *, tags=None, log=false, colour=true))]
pub fn watch_once(
    py: Python<'_>,
    path: PathBuf,
    width: u16,
    height: u16,
    tags: Option<String>,
    log: bool,
    colour: bool,
) -> PyResult<String> {
    let options = Options {
        path,
        tags,
        log,
        colour,
    };
    py.detach(|| fitwatch_tui::once(&options, (width, height)))
        .map_err(raised)
}

fn raised(error: fitwatch_tui::Error) -> PyErr {
    match error {
        fitwatch_tui::Error::Read(error) => Error::from(error).into(),
        fitwatch_tui::Error::Filter(_) => PyValueError::new_err(error.to_string()),
        _ => PyOSError::new_err(error.to_string()),
    }
}
