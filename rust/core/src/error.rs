//! The error type of this crate.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::csv;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be created, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path of the file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Rows cannot be added to a CSV file.
    #[error("{}: {problem}", path.display())]
    Csv {
        /// The path of the file.
        path: PathBuf,
        /// Why rows cannot be added.
        problem: csv::Problem,
    },
    /// An event file that is followed has a damaged record.
    #[error("{}: a record is damaged, and what comes after it is left out", path.display())]
    DamagedRecord {
        /// The path of the file.
        path: PathBuf,
    },
    /// A folder has no file that can be read.
    #[error(
        "{}: nothing to read here; looked for event files (*tfevents*), CSV files of CSVLogger \
         (*.csv) and files of LossHistory.save() (*.npz)", path.display()
    )]
    NothingToRead {
        /// The path of the folder.
        path: PathBuf,
    },
    /// A file is not an event file.
    #[error("{}: not an event file: it does not begin with a record", path.display())]
    NotAnEventFile {
        /// The path of the file.
        path: PathBuf,
    },
    /// A CSV or `.npz` file was written by another program.
    #[error("{}: not a file of CSVLogger or of LossHistory.save()", path.display())]
    NotARecord {
        /// The path of the file.
        path: PathBuf,
    },
    /// The bytes are not the state of a policy.
    #[error("not a state of this class: {0}")]
    State(postcard::Error),
    /// The state of a policy is from a version of this crate with different fields.
    #[error("not a state of this class: version {0} is not known")]
    StateVersion(u8),
}

/// Adds the path of the file to an I/O error.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
    }
}
