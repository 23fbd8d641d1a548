//! Time: when to look at the clock, and what takes it.

mod pacer;
mod slow_hooks;

pub use pacer::{Pacer, Tick};
pub use slow_hooks::{Share, SlowHooks};
