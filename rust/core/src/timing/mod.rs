//! Timing: when to read the clock, how fast training is, and where its time goes.

mod histogram;
mod pacer;
mod slow_hooks;
mod spent;
mod throughput;

pub use histogram::Histogram;
pub use pacer::{Pacer, Tick};
pub use slow_hooks::{Share, SlowHooks};
pub use spent::{Activity, Mark, Spent};
pub use throughput::{Speed, Throughput};
