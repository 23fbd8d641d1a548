//! Errors of the core, as Python exceptions.

use std::io;
use std::path::PathBuf;

use fitwatch_core::files::csv::Refused;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// What can fail in the core.
pub enum Error {
    /// A file or folder cannot be made or written.
    Io(PathBuf, io::Error),
    /// A file cannot be appended to.
    Csv(PathBuf, Refused),
    /// A pickled state is not one.
    State(postcard::Error),
    /// A pickled state of another version.
    Version(u8),
}

impl From<postcard::Error> for Error {
    fn from(error: postcard::Error) -> Self {
        Self::State(error)
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            // With an errno, Python picks the subclass (FileNotFoundError, PermissionError, ...).
            Error::Io(path, source) => match source.raw_os_error() {
                Some(errno) => {
                    let message = source.to_string();
                    // Rust appends " (os error N)", which Python shows as "[Errno N]" in front.
                    let reason = message.split(" (os error").next().unwrap_or_default();
                    PyOSError::new_err((errno, reason.to_owned(), path.into_os_string()))
                }
                None => PyOSError::new_err(format!("{source}: {}", path.display())),
            },
            Error::Csv(path, Refused::Io(source)) => Error::Io(path, source).into(),
            Error::Csv(path, refused) => {
                PyValueError::new_err(format!("{}: {}", path.display(), reason(&refused)))
            }
            Error::Version(version) => PyValueError::new_err(format!(
                "no state of this class: version {version} is not known"
            )),
            Error::State(source) => {
                PyValueError::new_err(format!("no state of this class: {source}"))
            }
        }
    }
}

fn reason(refused: &Refused) -> String {
    match refused {
        Refused::Io(source) => source.to_string(),
        Refused::NotText => "its header is no text in UTF-8".to_owned(),
        Refused::Unbalanced => "a quotation mark in it has no partner".to_owned(),
        Refused::TooLong(line) => format!("its line {line} has more fields than its header"),
        Refused::EndlessLine(line) => format!("its line {line} is longer than 16 MiB"),
        Refused::Twice(name) => format!("its header has {name:?} twice"),
        Refused::NoHeader(names) => format!("its first line is no header of ours, but {names:?}"),
    }
}
