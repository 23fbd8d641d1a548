//! The core of fitwatch: all numbers that a training monitor tracks, and all decisions it makes.
//!
//! This crate does not depend on Python and does not read the clock: time is an argument. Values go
//! into *sinks*, which keep or write them, and into *policies*, which decide.
//!
//! - [`policies`]: early stopping, learning-rate reduction, checkpoints, and their building blocks.
//! - [`files`]: CSV files, TensorBoard event files, and atomic replacement of files.
//! - [`runs`]: recorded runs, read from the files of many writers, as columns and as envelopes.
//! - [`series`]: the values of a metric, one per batch, in memory.
//! - [`progress_bar`]: the text of a progress bar.
//! - [`timing`]: how often to read the clock, how fast training is, and where its time goes.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod block;
mod error;
pub mod files;
pub mod policies;
pub mod progress_bar;
mod python_text;
pub mod runs;
pub mod series;
pub mod timing;

pub use error::Error;
