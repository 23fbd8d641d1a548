//! The core of fitwatch: every number that a training monitor tracks, and every decision it takes.
//!
//! Nothing in here knows Python, and nothing reads a clock: time is an argument. Values go into
//! *sinks*, which keep or write them, and into *policies*, which decide.
//!
//! - [`policies`]: early stopping, learning-rate reduction, checkpoints; and what they are made of.
//! - [`files`]: CSV files, TensorBoard event files, and files that are replaced as a whole.
//! - [`series`]: a metric's value for every batch, in memory.
//! - [`progress_bar`]: the text of a progress bar.
//! - [`timing`]: how often to look at the clock, and which callbacks are slow.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod error;
pub mod files;
pub mod policies;
pub mod progress_bar;
mod python_text;
pub mod series;
pub mod timing;

pub use error::Error;
