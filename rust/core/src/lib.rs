//! The core of fitwatch: every number that a training monitor tracks, and every decision it takes.
//!
//! Nothing in here knows Python. Policies ([`EarlyStopping`], [`Plateau`], [`Checkpoint`]) are fed
//! values of epochs or batches and return a [`Decision`] that the caller carries out; sinks ([`Series`],
//! [`event_file::EventFile`]) are fed values and keep or write them.

mod append_file;
mod best;
mod checkpoint;
pub mod csv;
mod decision;
mod early_stopping;
pub mod event_file;
mod improvement;
mod metric;
mod owner;
mod pacer;
mod patience;
mod plateau;
mod progress_bar;
mod python_text;
pub mod replace;
mod series;
mod slow_hooks;
mod smoothing;

pub use append_file::AppendFile;
pub use best::Best;
pub use checkpoint::Checkpoint;
pub use decision::Decision;
pub use early_stopping::{Combine, EarlyStopping, Moment};
pub use improvement::{Direction, Improvement, Width};
pub use metric::{Metric, Seen, Value};
pub use pacer::{Pacer, Tick};
pub use patience::{Cooldown, Patience};
pub use plateau::Plateau;
pub use progress_bar::{ProgressBar, Style};
pub use series::Series;
pub use slow_hooks::{Share, SlowHooks};
pub use smoothing::Smoothing;
