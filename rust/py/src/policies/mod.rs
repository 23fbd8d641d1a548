//! Python classes for the core's policies.

mod best;
mod checkpoint;
mod copying;
mod decision;
mod early_stopping;
mod limit;
mod plateau;
mod spikes;

pub use checkpoint::Checkpoint;
pub use decision::Decision;
pub use early_stopping::EarlyStopping;
pub use plateau::Plateau;
pub use spikes::Spikes;
