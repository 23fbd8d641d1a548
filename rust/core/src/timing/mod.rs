//! Timing: when to read the clock, and which callbacks are slow.

mod pacer;
mod slow_hooks;

pub use pacer::{Pacer, Tick};
pub use slow_hooks::{Share, SlowHooks};
