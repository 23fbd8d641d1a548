//! The terminal view of fitwatch: live charts of a folder of runs, for people on a cluster.
//!
//! [`watch`] shows the charts until the user quits; [`once`] makes one frame of them. Every chart is
//! an envelope: each column of dots spans from the lowest to the highest of all its points, so that
//! a spike of one batch in millions is a visible column.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod app;
mod axis;
mod braille;
mod chart;
mod error;
mod grid;
mod header;
mod keys;
mod lists;
mod number;
mod once;
mod palette;
mod plot;
mod screen;
mod source;
mod table;
mod tags;
mod terminal;
#[cfg(test)]
mod testing;
mod watch;
mod zoom;

use std::path::PathBuf;

pub use error::Error;
pub use once::once;
pub use watch::watch;

/// What to watch, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder of runs, or a file of one.
    pub path: PathBuf,
    /// A regular expression that tags must contain.
    pub tags: Option<String>,
    /// Whether to begin with logarithmic axes.
    pub log: bool,
    /// Whether to use colours, if the terminal has them.
    pub colour: bool,
}

/// How the view ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The user has quit.
    Quit,
    /// Ctrl-C.
    Interrupted,
    /// A signal asked the process to end.
    Terminated,
}
