//! The error type of this crate.

use std::io;

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The runs cannot be read.
    #[error(transparent)]
    Read(#[from] fitwatch_core::Error),
    /// The filter of tags is not a regular expression.
    #[error("not a regular expression: {0}")]
    Filter(#[from] regex_lite::Error),
    /// The output is a file or a pipe.
    #[error("the output is not a terminal")]
    NotATerminal,
    /// The terminal cannot be read or written.
    #[error("the terminal: {0}")]
    Terminal(#[from] io::Error),
}
