//! Timing: when to read the clock, how fast training is, and which callbacks are slow.

mod histogram;
mod pacer;
mod slow_hooks;
mod throughput;

pub use histogram::Histogram;
pub use pacer::{Pacer, Tick};
pub use slow_hooks::{Share, SlowHooks};
pub use throughput::{Speed, Throughput};
