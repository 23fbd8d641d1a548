//! The time of each batch.

use fitwatch_core::timing::Pacer;

use crate::clock::now;

/// Tells the time, whatever kind of batch ends.
#[derive(Default)]
pub struct Pace {
    pacer: Pacer,
    /// The kind of hook that ticked last: a pause lies between training and evaluation.
    hook: usize,
}

impl Pace {
    /// A batch has ended: the time, and whether the clock was read for it.
    pub fn tick(&mut self, hook: usize) -> (f64, bool) {
        if hook != self.hook {
            self.pause();
            self.hook = hook;
        }
        let tick = self.pacer.tick(now);
        (tick.now, tick.read)
    }

    /// The time until the next batch does not count.
    pub fn pause(&mut self) {
        self.pacer.pause();
    }
}
