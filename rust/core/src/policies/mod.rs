//! Policies take the values of epochs or batches, and return a [`Decision`] that the caller carries
//! out.

mod batch_count;
mod batch_policy;
mod best;
mod checkpoint;
mod decision;
mod early_stopping;
mod goal;
mod improvement;
mod metric;
mod patience;
mod plateau;
mod smoothing;
mod spikes;
pub mod state;

pub use batch_count::BatchCount;
pub use batch_policy::BatchPolicy;
pub use best::Best;
pub use checkpoint::Checkpoint;
pub use decision::Decision;
pub use early_stopping::{Combine, EarlyStopping, Moment};
pub use goal::Goal;
pub use improvement::{Direction, Improvement, Width};
pub use metric::{Metric, Seen, Value};
pub use patience::{Cooldown, Patience};
pub use plateau::Plateau;
pub use smoothing::Smoothing;
pub use spikes::{Spike, Spikes};
