//! The time of each batch.

use fitwatch_core::timing::Pacer;

use crate::clock::now;

/// Estimates the time at the end of each batch, for all kinds of batches.
#[derive(Default)]
pub struct Pace {
    pacer: Pacer,
    /// The hook of the last tick. A change means a pause, as between training and evaluation.
    hook: usize,
}

impl Pace {
    /// Counts a batch that has ended. Returns the time, and whether the clock was read for it.
    pub fn tick(&mut self, hook: usize) -> (f64, bool) {
        if hook != self.hook {
            self.pause();
            self.hook = hook;
        }
        let tick = self.pacer.tick(now);
        (tick.now, tick.read)
    }

    /// Excludes the time until the next batch from the estimate.
    pub fn pause(&mut self) {
        self.pacer.pause();
    }
}
