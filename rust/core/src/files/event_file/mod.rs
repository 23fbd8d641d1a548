//! TensorBoard event files without TensorFlow.
//!
//! A file is a sequence of `TFRecord`s, each of which holds one `tensorflow.Event`. The first event
//! names the format version; scalars are events whose tensor and plugin metadata are what
//! `tf.summary.scalar` writes, byte for byte.

mod file;
mod message;
mod record;
mod relay;
mod scalar;
mod thread;

pub use file::EventFile;
pub use relay::Relay;
pub use scalar::Template;
