//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::csv;

/// What can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be made, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where it lies.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Rows cannot be added to a file.
    #[error("{}: {problem}", path.display())]
    Csv {
        /// Where it lies.
        path: PathBuf,
        /// What is the matter with it.
        problem: csv::Problem,
    },
    /// An event file whose events are taken over has a damaged record.
    #[error("{}: a record is damaged, and what comes after it is left out", path.display())]
    DamagedRecord {
        /// Where it lies.
        path: PathBuf,
    },
    /// Bytes are not the state of a policy.
    #[error("not a state of this class: {0}")]
    State(postcard::Error),
    /// The state of a policy is from a version of this crate with other fields.
    #[error("not a state of this class: version {0} is not known")]
    StateVersion(u8),
}

/// Says which file an error of the operating system is about.
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
