//! TensorBoard event files without TensorFlow.
//!
//! A file is a sequence of `TFRecord`s, each of which holds one `tensorflow.Event`. The first event
//! names the format version. Scalars have the same tensor and plugin metadata as those of
//! `tf.summary.scalar`, byte for byte.

mod file;
mod message;
pub(crate) mod record;
mod relay;
mod scalar;
mod text;
mod thread;

pub use file::EventFile;
pub use relay::Relay;
pub use scalar::Template;
pub use text::text_event;
